package sshmachine

import (
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// forward connects a direct-tcpip (RFC 4254 §7.2) or direct-streamlocal@openssh.com (OpenSSH's PROTOCOL §2.4) channel to the address that
// the client asked for, as seen from the machine.
func forward(c ssh.NewChannel) {
	network, address, ok := destination(c)
	if !ok {
		_ = c.Reject(ssh.ConnectionFailed, "the request is malformed")
		return
	}
	conn, err := net.DialTimeout(network, address, 10*time.Second)
	if err != nil {
		_ = c.Reject(ssh.ConnectionFailed, err.Error())
		return
	}
	defer conn.Close()
	channel, requests, err := c.Accept()
	if err != nil {
		return
	}
	defer channel.Close()
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(conn, channel)
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	})
	both.Go(func() {
		_, _ = io.Copy(channel, conn)
		_ = channel.CloseWrite()
	})
	both.Go(func() {
		ssh.DiscardRequests(requests) // ends when the channel or its connection is closed
		_ = conn.Close()
	})
	both.Wait()
}

func destination(c ssh.NewChannel) (network, address string, ok bool) {
	if c.ChannelType() == "direct-tcpip" {
		var p struct {
			Host       string
			Port       uint32
			Origin     string
			OriginPort uint32
		}
		err := ssh.Unmarshal(c.ExtraData(), &p)
		return "tcp", net.JoinHostPort(p.Host, strconv.Itoa(int(p.Port))), err == nil && p.Port <= 65535
	}
	var p struct {
		Path     string
		Reserved string
		Unused   uint32
	}
	err := ssh.Unmarshal(c.ExtraData(), &p)
	return "unix", p.Path, err == nil && p.Path != ""
}
