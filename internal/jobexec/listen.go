package jobexec

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// NoListener returns err, why nothing can listen at the local end, with what to do.
func (f Forward) NoListener(err error) error {
	if remedy := f.remedy(err); remedy != "" {
		return fmt.Errorf("%w: %s", err, remedy)
	}
	return err
}

func (f Forward) remedy(err error) string {
	socket := f.LocalNetwork == "unix"
	switch {
	case errors.Is(err, syscall.EADDRINUSE) && socket:
		return inTheWay(f.Local)
	case errors.Is(err, syscall.EADDRINUSE):
		return "another program listens there: end it, or give another port"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "this machine does not have the address: give one of its own, or only the port"
	case errors.Is(err, fs.ErrNotExist) && socket:
		return fmt.Sprintf("the folder %s does not exist: create it, or give another path", filepath.Dir(f.Local))
	case errors.Is(err, fs.ErrPermission) && socket:
		return "give a path in a folder in which you may write"
	case errors.Is(err, fs.ErrPermission):
		return "only root may listen at such a port: give one above 1023"
	case errors.Is(err, syscall.EINVAL) && socket:
		return "the path of a socket has about 100 bytes at most: give a shorter one"
	}
	return ""
}

// inTheWay says what to do about a file at the path of the socket.
func inTheWay(path string) string {
	info, err := os.Lstat(path)
	if err != nil {
		return "something is at this path: give another one"
	}
	if info.Mode().Type() != fs.ModeSocket {
		return "there is a file at this path that is no socket: give another path, or remove the file if nobody needs it"
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case err == nil:
		_ = conn.Close()
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the socket is left of a program that has ended: remove it, or give another path"
	}
	return "another program listens there: end it, or give another path"
}
