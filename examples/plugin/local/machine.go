package local

import (
	"cmp"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/examples/plugin/cloud"
)

const (
	machineCommand = "machine"              // the argument of a process that is a machine
	watchInterval  = 100 * time.Millisecond // how often a machine looks for its folder
	lifeLimit      = time.Hour              // ends machines that were forgotten
)

// MachineDir returns the folder of the machine that a process with these arguments is, and "" if it is none.
func MachineDir(args []string) string {
	if len(args) == 3 && args[1] == machineCommand {
		return args[2]
	}
	return ""
}

// RunMachine serves SSH until the folder is gone. It returns the exit code.
func RunMachine(dir string) int {
	if err := runMachine(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func runMachine(dir string) error {
	var spec cloud.Spec
	if err := readJSON(filepath.Join(dir, specFile), &spec); err != nil {
		return err
	}
	config, hostKey, err := serverConfig(spec.AuthorizedKey)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer listener.Close()
	go serve(listener, config)
	ready := cloud.Machine{State: "running", Address: listener.Addr().String(), HostKey: hostKey, OS: runtime.GOOS, Arch: runtime.GOARCH}
	if err := writeJSON(filepath.Join(dir, readyFile), ready); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for end := time.Now().Add(lifeLimit); time.Now().Before(end); time.Sleep(watchInterval) {
		if _, err := os.Stat(filepath.Join(dir, specFile)); errors.Is(err, os.ErrNotExist) {
			break
		}
	}
	return nil
}

// serverConfig lets in who has the private half of the key.
func serverConfig(authorized string) (config *ssh.ServerConfig, hostKey string, err error) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, "", err
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, "", err
	}
	config = &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		wanted, _, _, _, err := ssh.ParseAuthorizedKey([]byte(authorized))
		if err != nil || string(wanted.Marshal()) != string(key.Marshal()) {
			return nil, errors.New("this key is not known")
		}
		return nil, nil
	}}
	config.AddHostKey(signer)
	return config, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))), nil
}

func serve(listener net.Listener, config *ssh.ServerConfig) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			_, channels, requests, err := ssh.NewServerConn(conn, config)
			if err != nil {
				return
			}
			go ssh.DiscardRequests(requests)
			for c := range channels {
				if c.ChannelType() != "session" {
					_ = c.Reject(ssh.UnknownChannelType, "only sessions")
					continue
				}
				if channel, requests, err := c.Accept(); err == nil {
					go session(channel, requests)
				}
			}
		}()
	}
}

// session runs the command of one session.
func session(channel ssh.Channel, requests <-chan *ssh.Request) {
	var env []string
	for r := range requests {
		var exec struct{ Command string }
		switch r.Type {
		case "env":
			var v struct{ Name, Value string }
			ok := ssh.Unmarshal(r.Payload, &v) == nil
			if ok {
				env = append(env, v.Name+"="+v.Value)
			}
			_ = r.Reply(ok, nil)
		case "exec", "shell":
			_ = ssh.Unmarshal(r.Payload, &exec) // of a shell: empty
			_ = r.Reply(true, nil)
			go run(channel, exec.Command, env)
			go func() { // the end of the session ends the loop
				for r := range requests {
					_ = r.Reply(false, nil)
				}
			}()
			return
		default:
			_ = r.Reply(false, nil)
		}
	}
	_ = channel.Close()
}

// run runs a command with the shell, and reports how it ended.
func run(channel ssh.Channel, command string, env []string) {
	defer channel.Close()
	args := []string{"-c", command}
	if command == "" {
		args = nil
	}
	cmd := exec.Command("sh", args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = channel, channel.Stderr()
	cmd.WaitDelay = time.Second
	input, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(channel.Stderr(), err)
		_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{127}))
		return
	}
	var once sync.Once
	go func() {
		_, _ = io.Copy(input, channel)
		once.Do(func() { _ = input.Close() })
	}()
	err = cmd.Wait()
	once.Do(func() { _ = input.Close() })
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = cmp.Or(max(exit.ExitCode(), 0), 255)
	}
	_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{uint32(code)}))
}
