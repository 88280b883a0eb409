package config

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// ProxyJump is the jump host that connections to instances go through. The zero value is none.
type ProxyJump struct {
	Username          string
	Address           string // host:port
	KeyPath           string // absolute; empty: the private key of the instances
	KeyPassphrasePath string // of KeyPath; absolute; empty: none
	HostKey           string // in authorized_keys form, or as ssh-keyscan prints it; empty: see KnownHostsPath
	KnownHostsPath    string // absolute; empty: see HostKey
}

// Set reports whether there is a jump host.
func (j ProxyJump) Set() bool { return j.Address != "" }

const jumpForm = `write "USER@HOST" or "USER@HOST:PORT"`

// jump reads the keys of the jump host.
func (r *reader) jump(s section, c *Connector) {
	j := &c.ProxyJump
	text := s.line("proxy_jump")
	j.KeyPath, j.KeyPassphrasePath = r.resolve(s.line("proxy_jump_key_path")), r.resolve(s.line("proxy_jump_key_passphrase_path"))
	j.HostKey, j.KnownHostsPath = s.line("proxy_jump_host_key"), r.resolve(s.line("proxy_jump_known_hosts_path"))
	for _, key := range []string{"proxy_jump_key_path", "proxy_jump_key_passphrase_path", "proxy_jump_known_hosts_path"} {
		s.checkPath(key)
	}
	if text != "" {
		var err error
		if j.Username, j.Address, err = parseJump(text); err != nil {
			remedy := jumpForm
			var bare *bareAddressError
			if errors.As(err, &bare) {
				remedy = bare.remedy()
			}
			s.fault(CodeValue, s.get("proxy_jump"), "proxy_jump", fmt.Sprintf("%q is no jump host: %v", text, err), remedy)
		}
	}
	if j.HostKey != "" && !isHostKey(j.HostKey) {
		s.fault(CodeValue, s.get("proxy_jump_host_key"), "proxy_jump_host_key", "is no SSH host key", "write one line that ssh-keyscan prints: \"ssh-ed25519 AAAA…\"")
	}
	if j.HostKey != "" && j.KnownHostsPath != "" {
		s.fault(CodeValue, s.get("proxy_jump_host_key"), "proxy_jump_host_key", "is set, and so is proxy_jump_known_hosts_path: only one of them can be right",
			"remove one of them")
	}
	if !s.has("proxy_jump") {
		for _, key := range []string{"proxy_jump_key_path", "proxy_jump_key_passphrase_path", "proxy_jump_host_key", "proxy_jump_known_hosts_path"} {
			if s.has(key) {
				s.warn(CodeJump, s.get(key), key, "is not used, because there is no proxy_jump", "add proxy_jump, or remove the line")
			}
		}
		return
	}
	if j.Set() && s.path == "runners.autoscaler.connector_config" {
		checkJump(s, c)
	}
}

// checkJump checks that the jump host can be logged in to, and is known.
func checkJump(s section, c *Connector) {
	j := &c.ProxyJump
	if j.HostKey == "" && j.KnownHostsPath == "" {
		host, port, err := net.SplitHostPort(j.Address)
		if err != nil {
			host, port = j.Address, "22"
		}
		s.fault(CodeJump, s.get("proxy_jump"), "proxy_jump", "names a jump host whose host key is not known, so nothing is connected to", fmt.Sprintf("run ssh-keyscan -t ed25519 "+
			"-p %s %s, compare the key with the one on the jump host, and set proxy_jump_host_key to that line; or set proxy_jump_known_hosts_path", port, host))
	}
	if j.KeyPath == "" && c.KeyPath == "" {
		s.fault(CodeJump, s.get("proxy_jump"), "proxy_jump", "names a jump host, and there is no private key to log in to it with", "set proxy_jump_key_path")
	}
	if j.KeyPassphrasePath != "" && j.KeyPath == "" {
		s.warn(CodeJump, s.get("proxy_jump_key_passphrase_path"), "proxy_jump_key_passphrase_path", "is not used, because there is no proxy_jump_key_path",
			"add proxy_jump_key_path, or remove the line: the passphrase of key_path is in key_passphrase_path")
	}
}

// parseJump splits the value of proxy_jump, which has one of the forms that ProxyJump of OpenSSH takes.
func parseJump(text string) (user, address string, err error) {
	text, isURL := strings.CutPrefix(text, "ssh://")
	if isURL {
		text = strings.TrimSuffix(text, "/")
	}
	if strings.Contains(text, ",") {
		return "", "", fmt.Errorf("it names several hosts, and connections can go through one")
	}
	at := strings.LastIndex(text, "@")
	if at < 1 {
		return "", "", fmt.Errorf("it names no user")
	}
	user, host := text[:at], text[at+1:]
	if strings.ContainsAny(user, " \t:/") {
		return "", "", fmt.Errorf("the user %q contains a space, a colon or a slash", user)
	}
	port := "22"
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
		return "", "", &bareAddressError{user, host}
	}
	switch {
	case strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]"):
		host = host[1 : len(host)-1]
	case strings.Contains(host, ":"):
		if host, port, err = net.SplitHostPort(host); err != nil {
			return "", "", fmt.Errorf("the host has no form that is known: an IPv6 address needs brackets")
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", "", fmt.Errorf("the port %q is not a number between 1 and %d", port, maxPort)
	}
	if !isHost(host) {
		return "", "", fmt.Errorf("%q is neither a host name nor an address", host)
	}
	return user, net.JoinHostPort(host, port), nil
}

// bareAddressError means that an IPv6 address has no brackets, so nobody can tell whether it ends with a port.
type bareAddressError struct{ user, host string }

func (e *bareAddressError) Error() string {
	return "an IPv6 address needs brackets, which keep it apart from a port"
}

// remedy shows the right form, with a port if the last part may be meant as one.
func (e *bareAddressError) remedy() string {
	right := fmt.Sprintf("write %q", e.user+"@["+e.host+"]")
	i := strings.LastIndexByte(e.host, ':')
	port := e.host[i+1:]
	_, err := netip.ParseAddr(e.host[:i])
	if n, bad := strconv.ParseUint(port, 10, 16); err == nil && bad == nil && n > 0 {
		return right + fmt.Sprintf(", or %q if %s is the port", e.user+"@["+e.host[:i]+"]:"+port, port)
	}
	return right
}

// isHost reports whether host may be a host name or an IP address.
func isHost(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.Zone() + "x"
	}
	for _, r := range host {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_', r >= 0x80 && r != 0xFFFD:
		default:
			return false
		}
	}
	return host != "" && host[0] != '-'
}

// isHostKey reports whether line contains a public key of SSH: its type, and its bytes in base64, which begin with the type.
func isHostKey(line string) bool {
	fields := strings.Fields(line)
	for i := 0; i+1 < len(fields) && i < 2; i++ { // the line may begin with the host's name
		blob, err := base64.StdEncoding.DecodeString(fields[i+1])
		if err != nil || len(blob) < 4 {
			continue
		}
		if n := binary.BigEndian.Uint32(blob); int64(n) < int64(len(blob)-4) && string(blob[4:4+n]) == fields[i] {
			return true
		}
	}
	return false
}
