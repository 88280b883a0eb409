package burst

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/taskscaler/taskscaler/internal/test/stage"
)

// stopManager stops the manager with SIGTERM, as an operator does, and waits for its end.
func stopManager(ctx context.Context, manager *stage.Process) error {
	manager.Signal(syscall.SIGTERM)
	select {
	case <-manager.Ended():
		if err := manager.Err(); err != nil {
			return fmt.Errorf("the manager ended with an error: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the manager to end: %w", context.Cause(ctx))
	}
}

// logTail returns the end of the manager's log.
func logTail(s *stage.Stage) string {
	text, err := os.ReadFile(s.Log())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// job is one `taskscaler exec` and its result.
type job struct {
	key, nonce string
	output     string
	err        error
}

// jobs holds the execs that were started.
type jobs struct {
	mu        sync.Mutex
	finished  []job
	all       sync.WaitGroup
	processes []*stage.Process
}

// startJobs starts all jobs at once. Each one prints its nonce on the instance, after a time that differs from job to job.
func startJobs(s *stage.Stage) (*jobs, error) {
	js := &jobs{}
	for i := range JobCount {
		j := job{key: fmt.Sprintf("job-%02d", i+1), nonce: rand.Text()}
		p, err := s.Exec(j.key, fmt.Sprintf(`sleep %.1f; echo "$0"`, 1+float64(i%5)/5), j.nonce)
		if err != nil {
			js.stop()
			return nil, fmt.Errorf("starting a job: %w", err)
		}
		js.processes = append(js.processes, p)
		js.all.Go(func() {
			<-p.Ended()
			if err := p.Err(); err != nil {
				j.err = fmt.Errorf("%s: %w: %s", j.key, err, p.Stderr())
			}
			j.output = p.Stdout()
			js.mu.Lock()
			defer js.mu.Unlock()
			js.finished = append(js.finished, j)
		})
	}
	return js, nil
}

func (js *jobs) done() int { return len(js.results()) }

// results returns the jobs that have ended so far.
func (js *jobs) results() []job {
	js.mu.Lock()
	defer js.mu.Unlock()
	return append([]job(nil), js.finished...)
}

// stop ends the jobs that still run, and waits for them.
func (js *jobs) stop() {
	for _, p := range js.processes {
		js.all.Go(func() { p.Stop(5 * time.Second) })
	}
	js.all.Wait()
}
