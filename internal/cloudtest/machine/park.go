package machine

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/taskscaler/taskscaler/internal/sshmachine"
	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

// markVariable is the environment variable that marks every process of a machine. Its value has the park's folder, so that machines of other parks are never
// meant.
const markVariable = "TASKSCALER_CLOUDTEST_MACHINE"

// Config says how the machines of a park are. The zero value is a good one.
type Config struct {
	Port    int              // of all machines; 0: a free one is taken
	Records string           // an existing folder for the records of the machines; empty: they keep none
	Now     func() time.Time // when the end of a pushed key is judged; nil: time.Now. Records have the real time.
}

// Park is where the machines of one cloud run. It is safe for concurrent use.
type Park struct {
	config  Config
	dir     string       // the home folders of the machines
	reserve net.Listener // holds the port
	forks   chan func()
	over    chan struct{} // closed by Close, after the last machine has stopped

	mu       sync.Mutex
	closed   bool
	machines map[string]*Machine // that run
	last     uint64              // number of the last machine
	faults   []error             // of records and folders
	stopping sync.WaitGroup      // machines that were not stopped yet
}

// Open makes a park without machines. The caller closes it.
func Open(config Config) (*Park, error) {
	if config.Now == nil {
		config.Now = time.Now
	}
	reserve, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(config.Port)))
	if err != nil {
		return nil, fmt.Errorf("reserve a port for the machines: %w", err)
	}
	config.Port = reserve.Addr().(*net.TCPAddr).Port
	dir, err := os.MkdirTemp("", "taskscaler-machines-")
	if err != nil {
		return nil, errors.Join(err, reserve.Close())
	}
	p := &Park{config: config, dir: dir, reserve: reserve, forks: make(chan func()), over: make(chan struct{}), machines: map[string]*Machine{}}
	go p.serveForks()
	return p, nil
}

// serveForks starts the processes of all machines on one thread. They are killed when it ends, at the latest with this process.
func (p *Park) serveForks() {
	runtime.LockOSThread() // for ever: the thread ends with the goroutine
	for {
		select {
		case start := <-p.forks:
			start()
		case <-p.over:
			return
		}
	}
}

func (p *Park) fork(start func() error) error {
	started := make(chan error, 1)
	select {
	case p.forks <- func() { started <- start() }:
		return <-started
	case <-p.over:
		return errors.New("the machines are stopped")
	}
}

// Port returns the port of the machines.
func (p *Park) Port() int { return p.config.Port }

// Spec is what a cloud knows of a machine when it boots.
type Spec struct {
	IP             string   // its loopback address, 127.x.y.z; 127.0.0.1 is taken
	User           string   // the only user that can log in
	AuthorizedKeys []string // keys of the user without an end, as in authorized_keys
}

// Boot starts a machine and returns when it accepts connections. An id may be used again when its machine has stopped.
func (p *Park) Boot(id string, spec Spec) (*Machine, error) {
	if id == "" || id != filepath.Base(id) {
		return nil, fmt.Errorf("boot a machine: %q cannot be an id, because it is no name of a folder", id)
	}
	m := &Machine{park: p, id: id, user: spec.User, mark: sshmachine.Mark{Name: markVariable, Value: filepath.Join(p.dir, id)}}
	for _, line := range spec.AuthorizedKeys {
		if err := m.Authorize(spec.User, line, time.Time{}); err != nil {
			return nil, fmt.Errorf("boot machine %s: %w", id, err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, fmt.Errorf("boot machine %s: the park is closed", id)
	}
	if p.machines[id] != nil {
		return nil, fmt.Errorf("boot machine %s: it runs already", id)
	}
	if err := m.start(spec.IP, p.last+1); err != nil {
		return nil, fmt.Errorf("boot machine %s: %w", id, err)
	}
	p.last++
	p.machines[id] = m
	p.stopping.Add(1)
	return m, nil
}

// Machine returns the machine with this id, or nil if none runs.
func (p *Park) Machine(id string) *Machine {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.machines[id]
}

// Machines returns how many machines run, with those that are being stopped.
func (p *Park) Machines() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.machines)
}

// remove forgets a machine that has stopped.
func (p *Park) remove(m *Machine, faults ...error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, faults...)
	delete(p.machines, m.id)
	p.stopping.Done()
}

// Close stops all machines and removes their folders. It returns what could not be recorded or removed.
func (p *Park) Close() error {
	p.mu.Lock()
	again := p.closed
	p.closed = true
	var running []*Machine
	for _, m := range p.machines {
		running = append(running, m)
	}
	p.mu.Unlock()
	if again {
		return nil
	}
	for _, m := range running {
		go m.Stop()
	}
	p.stopping.Wait()
	close(p.over)
	return errors.Join(append(p.faults, p.reserve.Close(), os.RemoveAll(p.dir))...)
}

// record opens the record of a machine; nil: there is none.
func (p *Park) record(id string, number uint64) (*record.Writer, error) {
	if p.config.Records == "" {
		return nil, nil
	}
	return record.Open(filepath.Join(p.config.Records, id+record.Suffix), id, number)
}
