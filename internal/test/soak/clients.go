package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/taskscaler/taskscaler/internal/jobexec"
	"github.com/taskscaler/taskscaler/internal/test/soak/check"
	"github.com/taskscaler/taskscaler/internal/test/stage"
)

// maxClients limits the number of clients that run at once. Each one is a process.
const maxClients = 40

// client is one `taskscaler exec`.
type client struct {
	key     string
	process *stage.Process
	hurt    bool // the driver killed or cancelled it; guarded by clients.mu
}

// clients holds the running clients and the results of the others.
type clients struct {
	site *site

	mu      sync.Mutex
	running map[string]*client
	started int
	tally   tally
	all     sync.WaitGroup
}

// tally counts jobs by their results.
type tally struct{ running, ok, lost, refused, hurt, odd int }

// start starts a job that sleeps, prints its nonce and exits with a code. It does nothing if too many are running.
func (c *clients) start(sleep time.Duration, code int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.running) >= maxClients {
		return nil
	}
	c.started++
	key, nonce := fmt.Sprintf("job-%05d", c.started), rand.Text()
	script := fmt.Sprintf(`sleep %.2f; echo "$0"; exit %d`, sleep.Seconds(), code)
	c.site.log.put(check.Entry{Event: check.Asked, Key: key, Nonce: nonce, Want: code})
	p, err := c.site.Exec(key, script, nonce)
	if err != nil {
		return fmt.Errorf("starting a job: %w", err)
	}
	cl := &client{key: key, process: p}
	c.running[key] = cl
	c.all.Go(func() {
		<-p.Ended()
		c.ended(cl, p.Stdout(), p.Stderr())
	})
	return nil
}

func (c *clients) ended(cl *client, stdout, stderr string) {
	code := cl.process.Code()
	c.site.log.put(check.Entry{
		Event: check.Told, Key: cl.key, Code: code, Output: stdout, Notes: tail(stderr),
		Kept: strings.Contains(stderr, "the slot could not be released"),
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.running, cl.key)
	switch {
	case cl.hurt:
		c.tally.hurt++
	case code != nil && *code == jobexec.ExitLost:
		c.tally.lost++
	case code != nil && *code == jobexec.ExitFailed:
		c.tally.refused++
	case code != nil && *code < jobexec.ExitLost:
		c.tally.ok++
	default:
		c.tally.odd++
	}
}

func tail(text string) string {
	const most = 600
	if len(text) > most {
		return "…" + text[len(text)-most:]
	}
	return text
}

// hit sends a signal to one of the running clients that were not hit before: the one with the n-th key. It logs e first. It reports whether
// there was such a client.
func (c *clients) hit(n int, sig syscall.Signal, e check.Event) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	keys := slices.Sorted(maps.Keys(c.running))
	keys = slices.DeleteFunc(keys, func(k string) bool { return c.running[k].hurt })
	if len(keys) == 0 {
		return false
	}
	cl := c.running[keys[n%len(keys)]]
	cl.hurt = true
	c.site.log.put(check.Entry{Event: e, Key: cl.key, PID: cl.process.PID()})
	cl.process.Signal(sig) // it may have ended at this moment
	return true
}

func (c *clients) counts() tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tally
	t.running = len(c.running)
	return t
}

// wait waits until every client has ended. The checker reports clients that do not end, because they never got an answer.
func (c *clients) wait(ctx context.Context) error {
	ended := make(chan struct{})
	go func() {
		c.all.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(patience):
		c.mu.Lock()
		defer c.mu.Unlock()
		return errors.New("these jobs do not end: " + strings.Join(slices.Sorted(maps.Keys(c.running)), ", "))
	}
}

// end kills the clients that still run, and waits for them.
func (c *clients) end() {
	c.mu.Lock()
	for _, cl := range c.running {
		cl.process.Signal(syscall.SIGKILL)
	}
	c.mu.Unlock()
	c.all.Wait()
}
