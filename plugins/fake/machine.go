package fake

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

// Subcommand is the first argument with which the plugin's binary is started again as an instance; the second is the folder.
const Subcommand = "instance"

const (
	lockFD       = 3 // the instance's lock, inherited
	pollInterval = 100 * time.Millisecond
	lockLimit    = 30 * time.Second
	lookSignal   = syscall.SIGHUP // saves an instance the rest of its pollInterval
)

// machine is an instance's own process. One goroutine, on one thread, runs its loop and starts its commands: they end with that
// thread.
type machine struct {
	folder *folder
	record *record.Writer
	forks  chan func()
	looks  chan os.Signal // the folder says something new: see lookSignal
	ends   chan os.Signal
	server *server // nil: it does not serve
	booted bool    // its boot has come to its end, good or bad
	gone   bool    // it serves no more
	warned bool    // the notice of its reclaim is written
}

// InstanceMain is the main function of an instance's process; args are what follows Subcommand. It returns the exit code.
func InstanceMain(args []string) int {
	if len(args) != 1 {
		fmt.Fprintln(os.Stderr, "this command is for the plugin itself: it takes the folder of an instance")
		return 2
	}
	runtime.LockOSThread()
	unix.CloseOnExec(lockFD)
	m := &machine{forks: make(chan func()), looks: make(chan os.Signal, 1), ends: make(chan os.Signal, 1)}
	signal.Notify(m.looks, lookSignal) // before anybody can learn our process id
	signal.Notify(m.ends, syscall.SIGTERM, syscall.SIGINT)
	if err := m.open(args[0]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	m.run()
	return 0
}

func (m *machine) open(dir string) error {
	f, err := openFolder(dir)
	if err != nil {
		return fmt.Errorf("this command is for the plugin itself: %w", err)
	}
	m.folder = f
	// The lock is no os.File: the garbage collector would close it, and nothing may but the end of the process.
	if _, err := unix.Pwrite(lockFD, fmt.Appendf(nil, "%d\n", os.Getpid()), 0); err != nil {
		return fmt.Errorf("write the process id: %w", err)
	}
	m.record, err = record.Open(f.spec.Record, f.spec.ID, f.spec.Number)
	return err
}

// run lives the instance's life. The process ends right after it: the locks that leave holds end with it.
func (m *machine) run() {
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	at, _ := m.folder.end()
	boot, end, notice := time.NewTimer(time.Until(m.bootEnd())), time.NewTimer(time.Until(at)), m.noticeTimer()
	for {
		select {
		case start := <-m.forks:
			start()
		case <-boot.C:
			m.catchUp()
		case <-notice:
			m.catchUp()
		case <-end.C:
			m.catchUp()
			_, as := m.folder.end()
			m.leave(record.Entry{Event: as})
			return
		case <-m.ends:
			m.leave(record.Entry{Event: record.Died, Reason: "its process was told to end"})
			return
		case <-poll.C:
			if m.look(end) {
				return
			}
		case <-m.looks:
			if m.look(end) {
				return
			}
		}
	}
}

// look reads what the folder says, and reports whether the instance has left.
func (m *machine) look(end *time.Timer) (left bool) {
	if m.folderGone() {
		m.leave(record.Entry{Event: record.Deleted, Reason: "its folder was removed"})
		return true
	}
	if m.toldToGo() {
		at, _ := m.folder.end()
		end.Reset(time.Until(at))
	}
	return false
}

// catchUp does what is due, in the order of the model. On a busy machine several timers fire at once, and select takes any of them.
func (m *machine) catchUp() {
	if !m.booted && !time.Now().Before(m.bootEnd()) {
		m.booted = true
		m.boot()
	}
	m.noteReclaim()
}

// bootEnd is when the boot comes to its end, good or bad.
func (m *machine) bootEnd() time.Time {
	s := &m.folder.spec
	if at, ok := s.runsAt(); ok {
		return at
	}
	return later(s.Created, min(s.Fate.Timeout, s.Fate.Vanish))
}

// noticeTimer fires when the instance learns that it will be reclaimed; nil: it learns nothing.
func (m *machine) noticeTimer() <-chan time.Time {
	at, ok := m.folder.spec.reclaimNotice()
	if !ok {
		return nil
	}
	return time.After(time.Until(at))
}

// noteReclaim writes the notice of a reclaim as soon as it is due, and before anything that follows from it.
func (m *machine) noteReclaim() {
	if at, ok := m.folder.spec.reclaimNotice(); ok && !m.warned && !time.Now().Before(at) {
		m.warned = true
		m.note(record.Entry{Event: record.Reclaiming})
	}
}

func (m *machine) boot() {
	if m.gone {
		return
	}
	if _, ok := m.folder.spec.runsAt(); !ok {
		m.note(record.Entry{Event: record.BootFailed})
		return
	}
	s, ready, err := m.listen()
	if err == nil {
		m.server = s
		m.note(record.Entry{Event: record.Booted, PID: os.Getpid(), Address: ready.Address})
		err = writeJSON(m.folder.path(readyFile), ready)
	}
	if err != nil {
		m.note(record.Entry{Event: record.BootFailed, Reason: err.Error()})
		fmt.Fprintln(os.Stderr, "boot:", err)
	}
}

// note writes an entry; an instance goes on without its record, but says so in its log.
func (m *machine) note(e record.Entry) {
	if err := m.record.Write(e); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

func (m *machine) folderGone() bool {
	_, err := os.Stat(m.folder.path(specFile))
	return errors.Is(err, fs.ErrNotExist)
}

// toldToGo looks for the order to go and ends all service when it comes.
func (m *machine) toldToGo() bool {
	if m.folder.deleting != nil {
		return false
	}
	if err := m.folder.refresh(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if m.folder.deleting == nil {
		return false
	}
	m.noteReclaim()
	m.note(record.Entry{Event: record.Deleting}) // before the commands are ended: who reads it sees what ran. None can start any more
	m.stop()
	return true
}

// stop ends the service and everything that commands left behind.
func (m *machine) stop() {
	m.gone = true
	if m.server != nil {
		m.server.close(m.forks)
		m.server = nil
	}
	killMarked(m.folder.dir)
}

// leave ends the instance. The process ends right after it, and with it the locks that it holds.
func (m *machine) leave(e record.Entry) {
	m.stop()
	_ = os.RemoveAll(m.folder.path(workFolder)) // may be large: before the lock is taken
	group := filepath.Dir(m.folder.dir)
	lock := lockGroupWithin(lockLimit, group)
	if lock != nil {
		_, _ = unix.Dup(int(lock.Fd())) // held to the end of the process, as lockFD is
	}
	m.note(e)
	if err := m.folder.clear(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintln(os.Stderr, err)
	}
	if lock != nil {
		removeIfEmpty(group)
	}
}

// lockGroupWithin stands in line for the group's lock: unlike a plugin, which asks again and again so that it can give up with its caller, it
// gets its turn however busy the group is. It returns nil when there is no group, or no turn within the limit (a frozen plugin
// holds the lock).
func lockGroupWithin(limit time.Duration, dir string) *os.File {
	got := make(chan *os.File, 1)
	go func() {
		file, _ := lockGroup(context.Background(), dir, awaitLock) // nil is all there is to know
		got <- file
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case file := <-got:
		return file
	case <-timer.C:
		return nil
	}
}
