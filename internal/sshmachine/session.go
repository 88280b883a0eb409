package sshmachine

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"
)

// maxVariables is the most variables that a client may set.
const maxVariables = 1000

// signalNames are the signals of RFC 4254 §6.9.
var signalNames = map[string]syscall.Signal{
	"ABRT": syscall.SIGABRT, "ALRM": syscall.SIGALRM, "FPE": syscall.SIGFPE, "HUP": syscall.SIGHUP, "ILL": syscall.SIGILL,
	"INT": syscall.SIGINT, "KILL": syscall.SIGKILL, "PIPE": syscall.SIGPIPE, "QUIT": syscall.SIGQUIT, "SEGV": syscall.SIGSEGV,
	"TERM": syscall.SIGTERM, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2,
}

func signalName(sig syscall.Signal) string {
	for name, s := range signalNames {
		if s == sig {
			return name
		}
	}
	return fmt.Sprintf("SIG%d@taskscaler", int(sig))
}

// session serves one session channel: variables, then one command, then signals to it and its end. When the client closes the channel, or the
// connection is lost, the whole process group of the command is killed.
func (s *Server) session(client *ssh.ServerConn, c ssh.NewChannel) {
	channel, requests, err := c.Accept()
	if err != nil {
		return
	}
	defer channel.Close()
	vars := newVariables(s.config, client)
	var cmd *command
	for r := range requests {
		ok := false
		switch r.Type {
		case "env":
			ok = cmd == nil && vars.request(r.Payload)
		case "exec":
			var p struct{ Command string }
			if cmd == nil && ssh.Unmarshal(r.Payload, &p) == nil {
				cmd, ok = s.startCommand(channel, p.Command, vars)
			}
		case "shell": // a shell that reads commands from the client; terminals are not supported
			if cmd == nil {
				cmd, ok = s.startCommand(channel, "", vars)
			}
		case "signal":
			var p struct{ Name string }
			sig, known := syscall.Signal(0), false
			if ssh.Unmarshal(r.Payload, &p) == nil {
				sig, known = signalNames[p.Name]
			}
			if ok = cmd != nil && known; ok {
				cmd.signal(sig)
			}
		case keepalive:
			ok = true
		}
		if r.WantReply {
			_ = r.Reply(ok, nil)
		}
		if ok && (r.Type == "exec" || r.Type == "shell") {
			close(cmd.answered)
		}
	}
	if cmd != nil {
		cmd.kill()
		<-cmd.done
	}
}

// variables are the environment of a command.
type variables struct {
	mark string // the name of a variable that cannot be set
	base []string
	set  map[string]string
}

func newVariables(config Config, client *ssh.ServerConn) *variables {
	name := client.User()
	base := append(inherited("PATH", "LANG", "LC_ALL", "TZ"), "HOME="+config.Home, "USER="+name, "LOGNAME="+name, "SHELL=/bin/sh",
		"SSH_CONNECTION="+connection(client.RemoteAddr(), client.LocalAddr()), config.Mark.String())
	return &variables{mark: config.Mark.Name, base: base, set: map[string]string{}}
}

// inherited returns the given variables of our own environment.
func inherited(names ...string) (env []string) {
	for _, name := range names {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// connection returns the value of SSH_CONNECTION.
func connection(remote, local net.Addr) string {
	return strings.NewReplacer(":", " ").Replace(remote.String() + " " + local.String())
}

// request handles an env request. A client cannot change the mark, because processes are found by it.
func (v *variables) request(payload []byte) bool {
	var p struct{ Name, Value string }
	if ssh.Unmarshal(payload, &p) != nil || p.Name == "" || p.Name == v.mark || len(v.set) >= maxVariables ||
		strings.ContainsAny(p.Name, "=\x00") || strings.Contains(p.Value, "\x00") {
		return false
	}
	v.set[p.Name] = p.Value
	return true
}

func (v *variables) environ() []string {
	env := slices.Clone(v.base)
	for name, value := range v.set {
		env = append(env, name+"="+value)
	}
	return env
}

// pipes are the three streams of a command, with our ends and the ends of the command.
type pipes struct {
	stdin           *os.File
	stdout, stderr  *os.File
	theirs          [3]*os.File
	closeTheirs     func()
	closeEverything func()
}

func newPipes() (*pipes, error) {
	var all []*os.File
	closeAll := func(files []*os.File) func() {
		return func() {
			for _, f := range files {
				_ = f.Close()
			}
		}
	}
	for range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(all)()
			return nil, err
		}
		all = append(all, r, w)
	}
	p := &pipes{stdin: all[1], stdout: all[2], stderr: all[4], theirs: [3]*os.File{all[0], all[3], all[5]}}
	p.closeTheirs, p.closeEverything = closeAll(p.theirs[:]), closeAll(all)
	return p, nil
}
