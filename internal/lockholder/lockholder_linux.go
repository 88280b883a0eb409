package lockholder

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Of returns the process that has a lock on the file that f has open, and its path there. The PID is 0 if it cannot be found: for
// example, if it runs in another container.
func Of(f *os.File) (pid int, path string) {
	info, err := f.Stat()
	if err != nil {
		return 0, ""
	}
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return 0, ""
	}
	defer locks.Close()
	inode := ""
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		inode = ":" + strconv.FormatUint(stat.Ino, 10)
	}
	for lines := bufio.NewScanner(locks); lines.Scan(); {
		// 1: FLOCK  ADVISORY  WRITE 4711 fd:00:1234567 0 EOF
		part := strings.Fields(lines.Text())
		if len(part) < 6 || part[1] != "FLOCK" || !strings.HasSuffix(part[5], inode) {
			continue
		}
		pid, err := strconv.Atoi(part[4])
		if err != nil || pid <= 0 {
			continue
		}
		if path, open := openAs(pid, info); open { // another file system may have the same inode number
			return pid, path
		}
	}
	return 0, ""
}

// openAs returns the path under which a process has a file open.
func openAs(pid int, file os.FileInfo) (path string, open bool) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", pid != os.Getpid() // it belongs to another user, who cannot be asked
	}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		if info, err := os.Stat(name); err == nil && os.SameFile(info, file) {
			path, _ = os.Readlink(name)
			return path, true
		}
	}
	return "", false
}
