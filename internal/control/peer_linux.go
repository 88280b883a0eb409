package control

import "golang.org/x/sys/unix"

// peerOf asks the kernel which process listens or connected at the other end of a socket.
func peerOf(fd uintptr) (peer, bool) {
	cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return peer{}, false
	}
	return peer{pid: int(cred.Pid), uid: int(cred.Uid)}, true
}
