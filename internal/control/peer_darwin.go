package control

import "golang.org/x/sys/unix"

// peerOf asks the kernel which user listens or connected at the other end of a socket.
func peerOf(fd uintptr) (peer, bool) {
	cred, err := unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return peer{}, false
	}
	pid, _ := unix.GetsockoptInt(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERPID) // 0: unknown
	return peer{pid: pid, uid: int(cred.Uid)}, true
}
