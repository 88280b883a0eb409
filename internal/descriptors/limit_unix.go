//go:build unix

package descriptors

import "golang.org/x/sys/unix"

// most stands for a limit that is higher than any use, and for none.
const most = 1 << 20

// Limit returns how many descriptors this process may have open.
func Limit() int {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 256 // the lowest default among the supported systems
	}
	if r.Cur < most {
		return int(r.Cur)
	}
	return most
}
