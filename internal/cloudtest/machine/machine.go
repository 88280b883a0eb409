package machine

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/internal/sshmachine"
	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

// Machine is a machine that runs, or has run. It is safe for concurrent use.
type Machine struct {
	park    *Park
	id      string
	user    string
	mark    sshmachine.Mark
	address string
	hostKey string
	home    string
	server  *sshmachine.Server
	stop    sync.Once

	mu     sync.Mutex
	keys   []key
	record *record.Writer // nil: none is kept, or it is complete
	fault  error          // the first one of the record
}

// key is a key that may log in.
type key struct {
	user  string
	blob  []byte
	until time.Time // zero: without an end
}

// Address returns where the machine serves SSH, as host:port.
func (m *Machine) Address() string { return m.address }

// HostKey returns the machine's host key, as in authorized_keys.
func (m *Machine) HostKey() string { return m.hostKey }

// Authorize lets the user log in with the key, which is as in authorized_keys. A login at until or later is refused; a session that is open then goes on. The
// zero time means without an end. A user whom the machine does not have is accepted here, as by EC2 Instance Connect, and refused at the login.
func (m *Machine) Authorize(user, publicKey string, until time.Time) error {
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(publicKey))
	if err != nil {
		return fmt.Errorf("authorize a key: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now, kept := m.park.config.Now(), m.keys[:0]
	for _, k := range m.keys {
		if k.valid(now) {
			kept = append(kept, k)
		}
	}
	m.keys = append(kept, key{user, public.Marshal(), until})
	return nil
}

func (k key) valid(now time.Time) bool { return k.until.IsZero() || now.Before(k.until) }

// start starts the server of the machine. number is its number in the record.
func (m *Machine) start(ip string, number uint64) (err error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(ip, strconv.Itoa(m.park.config.Port)))
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = listener.Close()
			_ = os.RemoveAll(m.home)
		}
	}()
	m.home, m.address = m.mark.Value, listener.Addr().String()
	if err := os.Mkdir(m.home, 0o700); err != nil {
		return err
	}
	host, line, err := sshmachine.NewHostKey()
	if err != nil {
		return err
	}
	if m.record, err = m.park.record(m.id, number); err != nil {
		return err
	}
	m.hostKey = line
	m.note(record.Entry{Event: record.Created})
	login := &ssh.ServerConfig{ServerVersion: "SSH-2.0-taskscaler_cloudtest", PublicKeyCallback: m.login}
	login.AddHostKey(host)
	m.server = sshmachine.Serve(listener, sshmachine.Config{Login: login, Home: m.home, Mark: m.mark, Fork: m.park.fork, Note: m.note})
	m.note(record.Entry{Event: record.Booted, PID: os.Getpid(), Address: m.address})
	return nil
}

// login decides about a key.
func (m *Machine) login(c ssh.ConnMetadata, public ssh.PublicKey) (*ssh.Permissions, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	blob, now := public.Marshal(), m.park.config.Now()
	for _, k := range m.keys {
		if c.User() == m.user && k.user == m.user && bytes.Equal(k.blob, blob) && k.valid(now) {
			return nil, nil
		}
	}
	return nil, errors.New("refused")
}

// note writes an entry to the record. An entry after the last one is dropped.
func (m *Machine) note(e record.Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.record == nil {
		return
	}
	if err := m.record.Write(e); err != nil && m.fault == nil {
		m.fault = err
	}
}

// Stop takes the machine away: it kills all its processes, closes its connections, and removes its home folder. It returns when all of this is done, also if
// another call began it.
func (m *Machine) Stop() {
	m.stop.Do(func() {
		m.note(record.Entry{Event: record.Deleting}) // before the commands are ended, so that a reader sees which ones ran
		m.server.Close(nil)
		if m.server.Commands() > 0 { // looking for processes takes time
			sshmachine.KillMarked(m.mark)
		}
		removed := os.RemoveAll(m.home)
		m.note(record.Entry{Event: record.Deleted})
		m.park.remove(m, removed, m.endRecord())
	})
}

// endRecord closes the record, and returns what was wrong with it.
func (m *Machine) endRecord() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.record == nil {
		return nil
	}
	err := errors.Join(m.fault, m.record.Close())
	m.record = nil
	return err
}
