package connector

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// ProtocolOf returns the protocol that Dial uses. An empty one means ssh, or winrm if the operating system is windows.
func ProtocolOf(c provider.ConnectorConfig) provider.Protocol {
	switch {
	case c.Protocol != "":
		return c.Protocol
	case isWindows(c.OS):
		return provider.ProtocolWinRM
	}
	return provider.ProtocolSSH
}

func isWindows(os string) bool { return strings.EqualFold(os, "windows") }

// endpoint picks the address to dial, as host:port.
func endpoint(info provider.ConnectInfo, external bool) (string, error) {
	addr, other := info.InternalAddr, info.ExternalAddr
	if external {
		addr, other = other, addr
	}
	if strings.TrimSpace(addr) == "" {
		addr = other
	}
	if strings.TrimSpace(addr) == "" {
		return "", ErrNoAddress
	}
	port := info.ProtocolPort
	if port == 0 {
		port = provider.DefaultProtocolPort(ProtocolOf(info.ConnectorConfig))
	}
	return joinPort(addr, port)
}

// joinPort returns addr as host:port. addr is a host name or an IP address (IPv6 with or without brackets and zone). A port in addr wins
// over port, unless it is 0.
func joinPort(addr string, port int) (string, error) {
	addr = strings.TrimSpace(addr)
	host, own, err := splitPort(addr)
	if err != nil {
		return "", fmt.Errorf("address %q: %w", addr, err)
	}
	if own != 0 {
		port = own
	}
	if port < 1 || port > 65535 {
		return "", fmt.Errorf("address %q: port %d is not between 1 and 65535: check protocol_port", addr, port)
	}
	return net.JoinHostPort(host, strconv.Itoa(port)), nil
}

// splitPort splits addr. The port is 0 if addr has none, or has the port 0, as some providers write it.
func splitPort(addr string) (host string, port int, err error) {
	if ip, err := netip.ParseAddr(addr); err == nil {
		return ip.String(), 0, checkHost(addr)
	}
	host = addr
	switch {
	case strings.HasPrefix(addr, "[") && strings.HasSuffix(addr, "]"):
		host = addr[1 : len(addr)-1]
	case strings.Contains(addr, ":"):
		var text string
		if host, text, err = net.SplitHostPort(addr); err != nil {
			return "", 0, fmt.Errorf("expected host, host:port, IPv6 or [IPv6]:port: %w", err)
		}
		if port, err = strconv.Atoi(text); err != nil || port < 0 || port > 65535 || text[0] < '0' || text[0] > '9' {
			return "", 0, fmt.Errorf("port %q is not a number between 1 and 65535", text)
		}
	}
	return host, port, checkHost(host)
}

// checkHost refuses what is neither a host name nor an address, before it reaches a resolver.
func checkHost(host string) error {
	name := host
	if ip, err := netip.ParseAddr(host); err == nil {
		name = ip.Zone() // the parser has checked the rest of an address
	} else if host == "" {
		return errors.New("the host is empty")
	}
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_', r >= 0x80 && r != 0xFFFD:
		default:
			return fmt.Errorf("the host contains %q", r)
		}
	}
	return nil
}
