package statestore

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// socketLock is a listening Unix socket in the abstract namespace. Its name is in no directory, so nothing on the disk can remove it.
type socketLock int

// Close releases the lock.
func (s socketLock) Close() error { return syscall.Close(int(s)) }

// lockName locks a path. If another process has it locked, the lock is nil and holder says who; its PID is 0 if that is unknown. An error
// means that there is no such lock, or that a process of another user has taken its name.
func lockName(path string) (held io.Closer, holder *Owner, err error) {
	sum := sha256.Sum256([]byte(path))
	addr := &syscall.SockaddrUnix{Name: fmt.Sprintf("@taskscaler/state/%x", sum[:16])}
	fd, err := newSocket()
	if err != nil {
		return nil, nil, err
	}
	err = syscall.Bind(fd, addr)
	if err == nil {
		if err = syscall.Listen(fd, syscall.SOMAXCONN); err == nil {
			return socketLock(fd), nil, nil
		}
	}
	_ = syscall.Close(fd)
	if !errors.Is(err, syscall.EADDRINUSE) {
		return nil, nil, fmt.Errorf("abstract socket: %w", err)
	}
	return whoListens(addr)
}

func newSocket() (int, error) {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return 0, fmt.Errorf("abstract socket: %w", err)
	}
	return fd, nil
}

// whoListens asks the kernel which process has the name. Anybody may take a name, so only a process of this user or of root counts.
func whoListens(addr *syscall.SockaddrUnix) (io.Closer, *Owner, error) {
	fd, err := newSocket()
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = syscall.Close(fd) }()
	if err := syscall.Connect(fd, addr); err != nil { // it has ended just now, or its queue is full
		return nil, &Owner{}, nil
	}
	peer, err := syscall.GetsockoptUcred(fd, syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	switch {
	case err != nil:
		return nil, &Owner{}, nil // somebody holds the lock; only the name is unknown
	case peer.Uid != 0 && int(peer.Uid) != os.Geteuid():
		return nil, nil, fmt.Errorf("process %d of user %d holds its name", peer.Pid, peer.Uid)
	}
	owner := processOwner(int(peer.Pid))
	return nil, &owner, nil
}

// processOwner returns what the kernel tells about a process.
func processOwner(pid int) Owner {
	o := Owner{PID: pid}
	o.Host, _ = os.Hostname()
	if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil {
		o.Command = commandOf(strings.Split(string(bytes.TrimRight(line, "\x00")), "\x00"))
	}
	o.Start = startOf(pid)
	return o
}

const clockTicks = 100 // USER_HZ, the same on every architecture of Linux that Go supports

// startOf returns when a process was started, or the zero time.
func startOf(pid int) time.Time {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return time.Time{}
	}
	_, after, _ := bytes.Cut(stat, []byte(") ")) // the name before it may contain anything
	part := bytes.Fields(after)
	system, err := os.ReadFile("/proc/stat")
	if err != nil || len(part) < 20 {
		return time.Time{}
	}
	_, boot, _ := bytes.Cut(system, []byte("\nbtime "))
	boot, _, _ = bytes.Cut(boot, []byte("\n"))
	since, err1 := strconv.ParseInt(string(part[19]), 10, 64)
	begun, err2 := strconv.ParseInt(string(boot), 10, 64)
	if err1 != nil || err2 != nil {
		return time.Time{}
	}
	return time.Unix(begun+since/clockTicks, 0)
}
