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

	"github.com/taskscaler/taskscaler/internal/sshmachine"
	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

// Subcommand is the first argument of the plugin's binary if it runs as an instance. The second argument is the folder of the instance.
const Subcommand = "instance"

const (
	lockFD       = 3 // file descriptor of the instance's lock, inherited
	pollInterval = 100 * time.Millisecond
	lockLimit    = 30 * time.Second
	lookSignal   = syscall.SIGHUP // tells an instance to read its folder at once, and not only after pollInterval
)

// machine is the process of an instance. One goroutine on one thread runs its loop and starts its commands, which end with that thread.
type machine struct {
	folder *folder
	record *record.Writer
	forks  chan func()
	looks  chan os.Signal // signals that the folder has changed: see lookSignal
	ends   chan os.Signal
	server *sshmachine.Server // nil: it does not serve SSH
	booted bool               // its boot has succeeded or failed
	gone   bool               // it no longer serves SSH
	warned bool               // the notice of its reclaim was recorded
}

// InstanceMain is the main function of an instance's process. args are the arguments after Subcommand. It returns the exit code.
func InstanceMain(args []string) int {
	if len(args) != 1 {
		fmt.Fprintln(os.Stderr, "this command is only for the plugin itself: it takes the folder of an instance")
		return 2
	}
	runtime.LockOSThread()
	unix.CloseOnExec(lockFD)
	m := &machine{forks: make(chan func()), looks: make(chan os.Signal, 1), ends: make(chan os.Signal, 1)}
	signal.Notify(m.looks, lookSignal) // before another process can read our process id
	signal.Notify(m.ends, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT)
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
		return fmt.Errorf("this command is only for the plugin itself: %w", err)
	}
	m.folder = f
	// The lock is not an os.File, because the garbage collector could close it. Only the end of the process may release the lock.
	if _, err := unix.Pwrite(lockFD, fmt.Appendf(nil, "%d\n", os.Getpid()), 0); err != nil {
		return fmt.Errorf("write the process id: %w", err)
	}
	m.record, err = record.Open(f.spec.Record, f.spec.ID, f.spec.Number)
	return err
}

// run runs the instance until its end. The process ends right after it, which releases the locks that leave holds.
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

// look reads the folder, and reports whether the instance has ended.
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

// bootEnd returns when the boot succeeds or fails.
func (m *machine) bootEnd() time.Time {
	s := &m.folder.spec
	if at, ok := s.runsAt(); ok {
		return at
	}
	return later(s.Created, min(s.Fate.Timeout, s.Fate.Vanish))
}

// noticeTimer fires when the instance gets the notice of its reclaim. Nil: it gets none.
func (m *machine) noticeTimer() <-chan time.Time {
	at, ok := m.folder.spec.reclaimNotice()
	if !ok {
		return nil
	}
	return time.After(time.Until(at))
}

// noteReclaim records the notice of a reclaim when it is due, before the events that follow it.
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

// note writes an entry to the record. If that fails, the instance continues and writes the error to its log.
func (m *machine) note(e record.Entry) {
	if err := m.record.Write(e); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

func (m *machine) folderGone() bool {
	_, err := os.Stat(m.folder.path(specFile))
	return errors.Is(err, fs.ErrNotExist)
}

// toldToGo checks whether the instance was deleted. If so, it stops the SSH server and the commands.
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
	m.note(record.Entry{Event: record.Deleting}) // before the commands are ended, so that a reader sees which ones ran; no command can start any more
	m.stop()
	return true
}

// stop ends the SSH server and all processes that commands left behind.
func (m *machine) stop() {
	m.gone = true
	if m.server != nil {
		m.server.Close(m.forks)
		m.server = nil
	}
	sshmachine.KillMarked(markOf(m.folder.dir))
}

// leave ends the instance. The process ends right after it, which releases its locks.
func (m *machine) leave(e record.Entry) {
	m.stop()
	_ = os.RemoveAll(m.folder.path(workFolder)) // before the lock is taken, because the folder may be large
	group := filepath.Dir(m.folder.dir)
	lock := lockGroupWithin(lockLimit, group)
	if lock != nil {
		_, _ = unix.Dup(int(lock.Fd())) // keeps the lock until the process ends, like lockFD
	}
	m.note(e)
	if err := m.folder.clear(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintln(os.Stderr, err)
	}
	if lock != nil {
		removeIfEmpty(group)
	}
}

// lockGroupWithin waits in the kernel's queue for the lock of the group, so it gets the lock even if the group is busy. (A plugin polls
// instead, so that it can stop when its context ends.) It returns nil if there is no group, or if it did not get the lock within the limit
// because a frozen plugin holds it.
func lockGroupWithin(limit time.Duration, dir string) *os.File {
	got := make(chan *os.File, 1)
	go func() {
		file, _ := lockGroup(context.Background(), dir, awaitLock) // nil: there is no group
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
