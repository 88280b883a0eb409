package config

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

var (
	systems       = map[string]string{"linux": "linux", "windows": "windows", "macos": "darwin", "darwin": "darwin"}
	architectures = map[string]string{"amd64": "amd64", "x86_64": "amd64", "x64": "amd64", "arm64": "arm64", "aarch64": "arm64", "arm": "arm64"}
)

const maxPort = 65535

// connector reads a connector_config; s may be absent.
func (r *reader) connector(s section) Connector {
	c := Connector{
		OS:   s.choice("os", "", systems, []string{"linux", "windows", "macos", "darwin"}),
		Arch: s.choice("arch", "", architectures, []string{"amd64", "x86_64", "x64", "arm64", "aarch64", "arm"}),
		Protocol: provider.Protocol(s.choice("protocol", "", same("ssh", "winrm", "winrm+https"),
			[]string{"ssh", "winrm", "winrm+https"})),
		ProtocolPort:         s.count("protocol_port"),
		Username:             s.line("username"),
		Password:             secret.New(s.str("password", "")),
		KeyPath:              r.resolve(s.line("key_path")),
		KeyPassphrase:        secret.New(s.str("key_passphrase", "")),
		KeyPassphrasePath:    r.resolve(s.line("key_passphrase_path")),
		UseStaticCredentials: s.flag("use_static_credentials", false),
		Keepalive:            s.duration("keepalive", defaultKeepalive),
		Timeout:              s.duration("timeout", defaultConnectTimeout),
		UseExternalAddr:      s.flag("use_external_addr", false),

		PasswordWithoutHostKey: s.flag("password_without_host_key", false),
		AllowLegacySSH:         s.flag("allow_legacy_ssh", false),
		AllowDHGroupExchange:   s.flag("allow_dh_group_exchange", false),
	}
	r.jump(s, &c)
	r.winrm(s, &c)
	if c.ProtocolPort > maxPort {
		s.fault(CodeRange, s.get("protocol_port"), "protocol_port", fmt.Sprintf("is %d, but the highest port is %d", c.ProtocolPort, maxPort),
			fmt.Sprintf("write a port from 1 to %d, or remove the line for the default", maxPort))
		c.ProtocolPort = 0
	}
	s.checkPath("key_path")
	s.checkPath("key_passphrase_path")
	checkPassphrase(s, &c)
	if s.path == "runners.autoscaler.connector_config" && s.has("password") && c.KeyPath == "" && !c.PasswordWithoutHostKey && !c.WinRM() {
		s.warn(CodePassword, s.get("password"), "password", "is sent only to instances whose host key the plugin reports: no other instance can be logged in to",
			"log in with a key (key_path), or write password_without_host_key = true if you trust the network between the manager and its instances")
	}
	return c
}

// checkPath reports a path that begins with ~ as a fault.
func (s section) checkPath(key string) {
	n := s.get(key)
	if n == nil {
		return
	}
	if text, ok := n.value.(string); ok && strings.HasPrefix(text, "~") {
		s.fault(CodeValue, n, key, fmt.Sprintf("%q begins with ~, which is not expanded in this file", text), "write the absolute path")
	}
}

// checkPassphrase checks that there is one passphrase at most, and a key that it belongs to.
func checkPassphrase(s section, c *Connector) {
	inline := !c.KeyPassphrase.Empty()
	switch {
	case inline && c.KeyPassphrasePath != "":
		s.fault(CodeValue, s.get("key_passphrase"), "key_passphrase", "is set, and so is key_passphrase_path: only one of them can be right",
			"remove key_passphrase, which stands in this file in plain text")
		c.KeyPassphrase = Secret{}
	case c.KeyPath != "":
	case inline:
		s.warn(CodePassphrase, s.get("key_passphrase"), "key_passphrase", "is not used, because there is no key_path", "add key_path, or remove the line")
	case c.KeyPassphrasePath != "":
		s.warn(CodePassphrase, s.get("key_passphrase_path"), "key_passphrase_path", "is not used, because there is no key_path", "add key_path, or remove the line")
	}
}

// resolve makes a relative path absolute. It is relative to the folder of the config file.
func (r *reader) resolve(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(r.dir, path)
}

// ToProvider returns c in the form that providers take. key is the result of LoadKey.
func (c Connector) ToProvider(key []byte) provider.ConnectorConfig {
	return provider.ConnectorConfig{
		OS: c.OS, Arch: c.Arch, Protocol: c.Protocol, ProtocolPort: c.ProtocolPort,
		Username: c.Username, Password: c.Password.Reveal(), Key: key, UseStaticCredentials: c.UseStaticCredentials,
		Keepalive: c.Keepalive, Timeout: c.Timeout,
	}
}
