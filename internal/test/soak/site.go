package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/internal/test/soak/check"
	"github.com/taskscaler/taskscaler/internal/test/stage"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// The files and folders of a soak.
const (
	recordFolder  = "records"
	logFile       = "soak.jsonl"
	stateFolder   = ".taskscaler"
	machineFolder = ".taskscaler-fake"
)

// patience limits every wait. Only a hang reaches it: a busy machine needs far less.
const patience = 3 * time.Minute

// site is the folder of a soak, with the manager and the log of the driver.
type site struct {
	*stage.Stage
	log  *logbook
	away atomic.Bool // no manager serves

	mu      sync.Mutex
	manager *stage.Process    // the latest one
	shown   map[string]string // by instance: the state in the latest status
}

// logbook is the log of the driver. Its times do not go back, unless the clock does.
type logbook struct {
	mu   sync.Mutex
	file *os.File
	err  error // the first error of a write
}

// put writes an entry with the current time.
func (l *logbook) put(e check.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Time = time.Now()
	raw, err := json.Marshal(e)
	if err == nil {
		_, err = l.file.Write(append(raw, '\n'))
	}
	l.err = errors.Join(l.err, err)
}

func (l *logbook) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.err, l.file.Close())
}

// newSite builds the binaries and writes the configuration.
func newSite(ctx context.Context, dir string, seed uint64) (*site, error) {
	built, err := stage.New(ctx, dir)
	if err != nil {
		return nil, err
	}
	built.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir, "TMPDIR="+dir)
	s := &site{Stage: built, shown: map[string]string{}}
	text, limits := newConfig(seed)
	if err := os.WriteFile(s.Config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	if err := os.Mkdir(filepath.Join(dir, recordFolder), 0o700); err != nil {
		return nil, err
	}
	if err := keepGroup(filepath.Join(dir, machineFolder, "fake")); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, logFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	s.log = &logbook{file: file}
	s.log.put(check.Entry{Event: check.Begin, Limits: &limits})
	return s, nil
}

// keepGroup makes the folder of the group with a foreign file in it, so that the folder stays when the group is empty. The counters of the
// model's random numbers then stay too. Otherwise a new group gets the same random numbers again, and can fail for ever.
func keepGroup(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "keep"), nil, 0o600)
}

// startManager starts a manager. Its end is in the log of the driver before the process counts as ended.
func (s *site) startManager() (*stage.Process, error) {
	s.log.put(check.Entry{Event: check.ManagerStarted})
	m, err := s.Run(func(p *stage.Process) {
		s.log.put(check.Entry{Event: check.ManagerEnded, PID: p.PID(), Code: p.Code()})
	})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.manager = m
	return m, nil
}

// current returns the latest manager, or nil if none was started.
func (s *site) current() *stage.Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.manager
}

// errStarting means that the manager answers, and still starts its plugin.
var errStarting = errors.New("status: the manager is starting")

// ask runs `taskscaler status --json` and writes the answer to the log. The error is errStarting if there is no fleet to show yet.
func (s *site) ask(ctx context.Context) (*taskscaler.Status, error) {
	asked := time.Now()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := s.Command("status", "--json", "--socket", s.Socket)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })()
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("status: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	var all control.Status
	if err := json.Unmarshal(stdout.Bytes(), &all); err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	seen, err := check.ParseStatus(stdout.Bytes(), asked)
	if err != nil {
		return nil, err
	}
	s.note(seen)
	if seen.Starting {
		return nil, errStarting
	}
	return all.Runners[0].Fleet, nil
}

// note logs a status. It leaves out gone instances that an earlier status already showed as gone.
func (s *site) note(seen *check.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var news []check.StatusInstance
	for _, i := range seen.Instances {
		if (i.State == "gone" || i.State == "lost") && s.shown[i.ID] == i.State && len(i.Leases) == 0 {
			continue
		}
		s.shown[i.ID] = i.State
		news = append(news, i)
	}
	seen.Instances = news
	s.log.put(check.Entry{Event: check.StatusAnswered, Status: seen})
}

// serving waits until the manager has the provider's first list.
func (s *site) serving(ctx context.Context, m *stage.Process) error {
	deadline := time.Now().Add(patience)
	for {
		f, err := s.ask(ctx)
		if err == nil && f.Started {
			s.log.put(check.Entry{Event: check.ManagerServes, PID: m.PID()})
			s.away.Store(false)
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the manager does not serve: %w", errors.Join(err, errors.New("see manager.log")))
		}
		select {
		case <-m.Ended():
			return errors.New("the manager ended at its start: see manager.log")
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(30 * time.Millisecond):
		}
	}
}
