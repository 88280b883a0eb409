package connector

import (
	"golang.org/x/crypto/ssh"
)

// WindowSize is the size of a terminal, in characters.
type WindowSize struct{ Columns, Rows int }

// PTY asks for a terminal of the instance (a pseudo-terminal) as the command's stdin, stdout and stderr. See RunOptions.PTY.
type PTY struct {
	Term   string     // the type of the caller's terminal, for the variable TERM; empty: xterm
	Size   WindowSize // zero: 80 columns and 24 rows
	Resize <-chan WindowSize
}

// endOfFile is the character that a terminal takes for the end of its input. Once ends a line that was begun, and twice the input.
const endOfFile = "\x04\x04"

// requestPTY asks for the terminal.
func (r *run) requestPTY(session *ssh.Session) error {
	p := r.opts.PTY
	name, size := p.Term, p.Size
	if name == "" {
		name = "xterm"
	}
	if size.Columns <= 0 || size.Rows <= 0 {
		size = WindowSize{Columns: 80, Rows: 24}
	}
	err := session.RequestPty(name, size.Rows, size.Columns, ssh.TerminalModes{ssh.ECHO: 1})
	if err == nil || r.client.why() != nil || !isPTYRefusal(err) {
		return err
	}
	return &RefusedError{Address: r.client.dialer.address, Terminal: true}
}

// isPTYRefusal recognises the error of x/crypto for a server that answered that it gives no terminal. It has no type of its own.
func isPTYRefusal(err error) bool { return err.Error() == "ssh: pty-req failed" }

// resize passes the sizes of the caller's terminal on until the command has ended.
func (r *run) resize(session *ssh.Session) {
	for {
		select {
		case size, ok := <-r.opts.PTY.Resize:
			if !ok || session.WindowChange(size.Rows, size.Columns) != nil {
				return
			}
		case <-r.done:
			return
		}
	}
}
