package sshmachine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

// drainLimit is how long output is awaited after the end of a command, if processes outside its process group still hold its pipes.
const drainLimit = 200 * time.Millisecond

// command is a command on a machine.
type command struct {
	server   *Server
	number   uint64
	vars     *variables
	cmd      *exec.Cmd
	pipes    *pipes
	channel  ssh.Channel
	answered chan struct{} // closed when the client was told that it was started
	done     chan struct{} // closed when the command and its streams have ended

	mu    sync.Mutex
	ended bool // its process id may belong to another process now
}

// startCommand runs line in the shell. If line is empty, it starts a shell that reads commands from its input.
func (s *Server) startCommand(channel ssh.Channel, line string, vars *variables) (*command, bool) {
	c := &command{server: s, vars: vars, channel: channel, answered: make(chan struct{}), done: make(chan struct{})}
	p, err := newPipes()
	if err != nil {
		return nil, false
	}
	c.pipes = p
	c.cmd = exec.Command("/bin/sh", "-c", line)
	if line == "" {
		c.cmd = exec.Command("/bin/sh")
	}
	c.cmd.Dir, c.cmd.Env, c.cmd.SysProcAttr = s.config.Home, vars.environ(), commandAttributes()
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = p.theirs[0], p.theirs[1], p.theirs[2]
	if err := s.config.Fork(func() error { return c.fork(line) }); err != nil {
		p.closeEverything()
		fmt.Fprintf(channel.Stderr(), "start the command: %v\n", err)
		return nil, false
	}
	p.closeTheirs()
	go c.run()
	return c, true
}

// fork starts the process. No command starts after Close has killed all of them.
func (c *command) fork(line string) error {
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("the machine is going away")
	}
	if err := c.cmd.Start(); err != nil {
		return err
	}
	s.last++
	c.number = s.last
	s.commands[c] = struct{}{}
	s.config.Note(c.entry(record.Entry{Event: record.CommandStart, Command: line}))
	return nil
}

func (c *command) entry(e record.Entry) record.Entry {
	e.Exec, e.PID = c.number, c.cmd.Process.Pid
	e.Key, e.Slot, e.Use = c.vars.set["TASKSCALER_KEY"], c.vars.set["TASKSCALER_SLOT"], c.vars.set["TASKSCALER_USE"]
	return e
}

// run copies the streams and reports the end of the command to the client.
func (c *command) run() {
	defer close(c.done)
	<-c.answered
	go func() {
		_, _ = io.Copy(c.pipes.stdin, c.channel) // ends when the channel is closed, at the latest
		_ = c.pipes.stdin.Close()
	}()
	var output sync.WaitGroup
	output.Go(func() { drain(c.channel, c.pipes.stdout) })
	output.Go(func() { drain(c.channel.Stderr(), c.pipes.stderr) })
	status := c.wait()
	// Processes that left the group keep the pipes open. Read only what they have written so far.
	_ = c.pipes.stdout.SetReadDeadline(time.Now().Add(drainLimit))
	_ = c.pipes.stderr.SetReadDeadline(time.Now().Add(drainLimit))
	output.Wait()
	_ = c.pipes.stdout.Close()
	_ = c.pipes.stderr.Close()
	_ = c.channel.CloseWrite()
	c.report(status)
	_ = c.channel.Close()
	s := c.server
	s.mu.Lock()
	delete(s.commands, c)
	s.mu.Unlock()
}

// wait waits until the shell has ended, and kills its process group before another process can get the same number.
func (c *command) wait() syscall.WaitStatus {
	uncollected := awaitExit(c.cmd.Process.Pid)
	if !uncollected {
		_ = c.cmd.Wait()
	}
	c.mu.Lock()
	signalGroup(c.cmd.Process.Pid, syscall.SIGKILL)
	if uncollected {
		_ = c.cmd.Wait() // its error is not needed: the status is in ProcessState
	}
	c.ended = true
	c.mu.Unlock()
	status, _ := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	e := record.Entry{Event: record.CommandEnd}
	if status.Signaled() {
		e.Signal = signalName(status.Signal())
	} else {
		code := status.ExitStatus()
		e.ExitCode = &code
	}
	c.server.config.Note(c.entry(e))
	return status
}

// report sends exit-status or exit-signal (RFC 4254 §6.10).
func (c *command) report(status syscall.WaitStatus) {
	if status.Signaled() {
		_, _ = c.channel.SendRequest("exit-signal", false, ssh.Marshal(struct {
			Signal     string
			CoreDumped bool
			Message    string
			Language   string
		}{signalName(status.Signal()), status.CoreDump(), "", ""}))
		return
	}
	_, _ = c.channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{uint32(status.ExitStatus())}))
}

// signal sends a signal to the command's process group, unless it has ended.
func (c *command) signal(sig syscall.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		signalGroup(c.cmd.Process.Pid, sig)
	}
}

func (c *command) kill() { c.signal(syscall.SIGKILL) }

// drain copies the output of a command until its end. The first deadline may pass while the client reads slowly. So the output counts as
// complete only if a second wait brings no data.
func drain(to io.Writer, from *os.File) {
	buf := make([]byte, 32*1024)
	waited, broken := false, false
	for {
		n, err := from.Read(buf)
		if n > 0 && !broken {
			_, werr := to.Write(buf[:n])
			broken = werr != nil // the client is gone: the command must not block on a full pipe before it is killed
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && !waited:
			waited = true
			_ = from.SetReadDeadline(time.Now().Add(drainLimit))
		case err != nil:
			return
		default:
			waited = false
		}
	}
}
