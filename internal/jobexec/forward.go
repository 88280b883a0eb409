package jobexec

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// Forward is where a tunnel begins on this machine and where it ends, seen from the instance. The networks are tcp and unix.
type Forward struct {
	LocalNetwork, Local   string
	RemoteNetwork, Remote string
}

// ParseForward reads LOCAL:REMOTE. Each side is a port (of localhost), a host and a port, or the path of a Unix socket, which has a slash. An IPv6 address
// stands in brackets.
func ParseForward(text string) (f Forward, err error) {
	fields, ok := splitColons(text)
	// LOCAL takes one field or two: what follows a port or a path is REMOTE.
	n := 1
	if len(fields) > 0 && !isPath(fields[0]) && !isPort(fields[0]) {
		n = 2
	}
	if ok = ok && len(fields) > n; ok {
		f.LocalNetwork, f.Local, ok = endOf(fields[:n], "127.0.0.1")
	}
	if ok {
		f.RemoteNetwork, f.Remote, ok = endOf(fields[n:], "localhost")
	}
	if !ok {
		return Forward{}, fmt.Errorf("%q is not LOCAL:REMOTE: write each as a port, HOST:PORT, [IPv6]:PORT or the path of a socket, such as 8080:localhost:80 or "+
			"/tmp/docker.sock:/var/run/docker.sock", text)
	}
	return f, nil
}

// splitColons splits text at the colons outside of brackets, and removes the brackets.
func splitColons(text string) (fields []string, ok bool) {
	for rest := text; ; {
		var field string
		if strings.HasPrefix(rest, "[") {
			if field, rest, ok = strings.Cut(rest[1:], "]"); !ok || rest != "" && rest[0] != ':' {
				return nil, false
			}
		} else if i := strings.IndexByte(rest, ':'); i >= 0 {
			field, rest = rest[:i], rest[i:]
		} else {
			field, rest = rest, ""
		}
		fields = append(fields, field)
		if rest == "" {
			return fields, !slices.Contains(fields, "")
		}
		rest = rest[1:]
	}
}

func isPath(field string) bool { return strings.Contains(field, "/") }

func isPort(field string) bool {
	n, err := strconv.ParseUint(field, 10, 16)
	return err == nil && n > 0
}

// endOf reads one side. host is that of a port alone.
func endOf(fields []string, host string) (network, address string, ok bool) {
	switch {
	case len(fields) == 1 && isPath(fields[0]):
		return "unix", fields[0], true
	case len(fields) == 1 && isPort(fields[0]):
		return "tcp", net.JoinHostPort(host, fields[0]), true
	case len(fields) == 2 && !isPath(fields[0]) && isPort(fields[1]):
		return "tcp", net.JoinHostPort(fields[0], fields[1]), true
	}
	return "", "", false
}
