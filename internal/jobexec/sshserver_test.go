package jobexec

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"net"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// fault is where the server cuts the connection.
type fault int

const (
	noFault          fault = iota
	cutAtSession                 // when the client opens a session
	cutBeforeRun                 // when it has read the command
	cutBeforeConfirm             // when the command runs, before the client hears of it
	cutWhileRunning              // when the command runs and has said something
	cutBeforeStatus              // when the command has ended
	refusesSessions              // politely
	refusesCommands              // politely
	closesCommands               // it accepts each and closes its channel, without a status
	failsCommands                // it accepts each, runs none and answers 1, as an account without a shell does
	noSuchPort                   // it is gone
	cutFirstOnly     fault = 100 // added to another one: only the first connection has the fault
)

// instance is a real SSH server on which commands run in a shell of this machine.
type instance struct {
	listener net.Listener
	config   *ssh.ServerConfig
	key      string
	fault    fault
	conns    atomic.Int32
	ran      atomic.Int32 // how many commands with TASKSCALER_KEY were started
	ctx      context.Context
	work     sync.WaitGroup
}

func startInstance(t *testing.T, f fault) *instance {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	s := &instance{config: &ssh.ServerConfig{NoClientAuth: true}, key: string(ssh.MarshalAuthorizedKey(signer.PublicKey())), fault: f}
	s.config.AddHostKey(signer)
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	var end context.CancelFunc
	s.ctx, end = context.WithCancel(context.Background())
	s.work.Go(s.accept)
	t.Cleanup(func() { end(); _ = s.listener.Close(); s.work.Wait() })
	if f == noSuchPort {
		_ = s.listener.Close()
	}
	return s
}

// dial is Job.Dial: it connects with the real connector to s instead of the invented address of the manager.
func (s *instance) dial(ctx context.Context, info provider.ConnectInfo, opts connector.DialOptions) (connector.Client, error) {
	info.InternalAddr, info.Username, info.HostKeys = s.listener.Addr().String(), "ci", []string{s.key}
	if info.Timeout == 0 || s.fault == noSuchPort {
		info.Timeout = time.Second
	}
	return connector.Dial(ctx, info, opts)
}

func (s *instance) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		f := s.fault
		if f >= cutFirstOnly {
			if f -= cutFirstOnly; s.conns.Add(1) > 1 {
				f = noFault
			}
		}
		s.work.Go(func() { s.serve(conn, f) })
	}
}

func (s *instance) serve(conn net.Conn, f fault) {
	ctx, end := context.WithCancel(s.ctx)
	defer end()
	cut := func() { _ = conn.Close(); end() } // nothing is sent after cut returns
	defer cut()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	_, channels, requests, err := ssh.NewServerConn(conn, s.config)
	if err != nil {
		return
	}
	s.work.Go(func() { ssh.DiscardRequests(requests) })
	for c := range channels {
		switch f {
		case cutAtSession:
			return
		case refusesSessions:
			_ = c.Reject(ssh.ResourceShortage, "no more sessions")
			continue
		}
		channel, requests, err := c.Accept()
		if err != nil {
			return
		}
		s.work.Go(func() { s.session(ctx, cut, f, channel, requests) })
	}
}

func (s *instance) session(ctx context.Context, cut func(), f fault, c ssh.Channel, requests <-chan *ssh.Request) {
	for r := range requests {
		var p struct{ Command string }
		ok := r.Type == "exec" && ssh.Unmarshal(r.Payload, &p) == nil && f != refusesCommands
		if ok && f == cutBeforeRun {
			cut()
			return
		}
		if f == closesCommands || f == failsCommands {
			if r.WantReply {
				_ = r.Reply(ok, nil)
			}
			if ok && f == failsCommands {
				_, _ = c.SendRequest("exit-status", false, ssh.Marshal(&struct{ Status uint32 }{1}))
			}
			if ok {
				_ = c.Close()
			}
			continue
		}
		var cmd *exec.Cmd
		if ok {
			cmd = s.start(ctx, c, p.Command)
			if f == cutBeforeConfirm {
				cut()
			}
		}
		if r.WantReply {
			_ = r.Reply(ok, nil)
		}
		if ok {
			s.work.Go(func() { s.wait(cut, f, c, cmd) })
		}
	}
}

func (s *instance) start(ctx context.Context, c ssh.Channel, command string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = c, c.Stderr(), 100*time.Millisecond
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil
	}
	if isJob(command) {
		s.ran.Add(1)
	}
	s.work.Go(func() {
		buf := make([]byte, 1024)
		for {
			n, err := c.Read(buf)
			_, _ = in.Write(buf[:n])
			if err != nil {
				_ = in.Close()
				return
			}
		}
	})
	return cmd
}

func (s *instance) wait(cut func(), f fault, c ssh.Channel, cmd *exec.Cmd) {
	if f == cutWhileRunning {
		time.AfterFunc(300*time.Millisecond, cut) // the command runs for longer, so that it does not matter when exactly
	}
	_ = cmd.Wait()
	if f == cutBeforeStatus {
		cut()
		return
	}
	code := cmd.ProcessState.ExitCode()
	if code < 0 {
		code = 137
	}
	_, _ = c.SendRequest("exit-status", false, ssh.Marshal(&struct{ Status uint32 }{uint32(code)}))
	_ = c.Close()
}

// silentFirst returns a Job.Dial whose first call does not connect. It calls reached and ends with its context.
func silentFirst(s *instance, reached func()) DialFunc {
	var calls atomic.Int32
	return func(ctx context.Context, info provider.ConnectInfo, opts connector.DialOptions) (connector.Client, error) {
		if calls.Add(1) > 1 {
			return s.dial(ctx, info, opts)
		}
		reached()
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
}
