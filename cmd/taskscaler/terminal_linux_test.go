package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/crypto/ssh"
	"golang.org/x/term"
)

// patience is far longer than anything here takes.
const patience = time.Minute

// ioctl is a control call on a terminal.
func ioctl(t *testing.T, f *os.File, call uintptr, arg unsafe.Pointer) {
	t.Helper()
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), call, uintptr(arg)); errno != 0 {
		t.Fatal(errno)
	}
}

// newPTY returns both ends of a terminal of this machine.
func newPTY(t *testing.T) (keys, terminal *os.File) {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals on this machine: %v", err)
	}
	var lock, number int32
	ioctl(t, keys, syscall.TIOCSPTLCK, unsafe.Pointer(&lock))
	ioctl(t, keys, syscall.TIOCGPTN, unsafe.Pointer(&number))
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = terminal.Close(), keys.Close() })
	return keys, terminal
}

func setSize(t *testing.T, f *os.File, columns, rows uint16) {
	t.Helper()
	ioctl(t, f, syscall.TIOCSWINSZ, unsafe.Pointer(&[4]uint16{rows, columns, 0, 0}))
}

// remoteTerminal is a session that reports what the client asks for, and runs its command without a terminal.
func remoteTerminal(asked chan<- *ssh.Request) func(ssh.NewChannel) {
	return func(c ssh.NewChannel) {
		channel, requests, err := c.Accept()
		if err != nil {
			return
		}
		for r := range requests {
			_ = r.Reply(true, nil)
			asked <- r
			var p struct{ Command string }
			if r.Type != "exec" || ssh.Unmarshal(r.Payload, &p) != nil {
				continue
			}
			go runShell(channel, p.Command)
		}
	}
}

// runShell runs a command until it ends. The client leaves its input open.
func runShell(channel ssh.Channel, command string) {
	defer func() { _ = channel.Close() }()
	cmd := exec.Command("sh", "-c", command)
	cmd.Stdout, cmd.Stderr = channel, channel.Stderr()
	cmd.Env = append(os.Environ(), "SHELL=/bin/sh")
	in, err := cmd.StdinPipe()
	if err != nil {
		return
	}
	go func() { _, _ = io.Copy(in, channel) }()
	_ = cmd.Run()
	_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(max(cmd.ProcessState.ExitCode(), 0))}))
}

// await returns the next request of this kind.
func await(t *testing.T, asked <-chan *ssh.Request, kind string) *ssh.Request {
	t.Helper()
	for limit := time.After(patience); ; {
		select {
		case r := <-asked:
			if r.Type == kind {
				return r
			}
		case <-limit:
			t.Fatalf("the client never asked for %s", kind)
		}
	}
}

// TestSSH: the shell has a terminal of the caller's type and size, gets its keys as they are, and learns of a new size. At the end the caller's terminal is as it
// was.
func TestSSH(t *testing.T) {
	keys, terminal := newPTY(t)
	setSize(t, keys, 132, 43)
	before, err := term.GetState(int(terminal.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan *ssh.Request, 100)
	socket := daemonAt(t, leased(instanceAt(t, remoteTerminal(asked)), nil, nil))
	env := environment{stdin: terminal, getenv: func(name string) string { return map[string]string{"TERM": "vt220"}[name] }}
	var stdout, stderr bytes.Buffer
	env.stdout, env.stderr = &stdout, &stderr
	code := make(chan int, 1)
	go func() { code <- run(context.Background(), []string{"ssh", "--socket", socket, "k"}, env) }()

	var size struct{ Columns, Rows, Width, Height uint32 }
	var begin struct {
		Term                         string
		Columns, Rows, Width, Height uint32
		Modes                        string
	}
	if err := ssh.Unmarshal(await(t, asked, "pty-req").Payload, &begin); err != nil || begin.Term != "vt220" || begin.Columns != 132 || begin.Rows != 43 {
		t.Errorf("asked for %+v, %v", begin, err)
	}
	await(t, asked, "exec")
	if during, err := term.GetState(int(terminal.Fd())); err != nil || *during == *before {
		t.Errorf("the terminal is not raw: %v", err)
	}
	setSize(t, keys, 100, 50)
	if err := syscall.Kill(os.Getpid(), syscall.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	if err := ssh.Unmarshal(await(t, asked, "window-change").Payload, &size); err != nil || size.Columns != 100 || size.Rows != 50 {
		t.Errorf("the new size is %+v, %v", size, err)
	}
	if _, err := keys.WriteString("exit 7\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-code:
		if got != 7 {
			t.Errorf("exit code %d; stdout %q, stderr %q", got, &stdout, &stderr)
		}
	case <-time.After(patience):
		t.Fatalf("the shell did not end; stdout %q, stderr %q", &stdout, &stderr)
	}
	if after, err := term.GetState(int(terminal.Fd())); err != nil || *after != *before {
		t.Errorf("the terminal is not as it was: %v", err)
	}
}
