package config

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/taskscaler/taskscaler/pkg/provider"
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
		Username:             s.str("username", ""),
		Password:             NewSecret(s.str("password", "")),
		KeyPath:              r.resolve(s.str("key_path", "")),
		UseStaticCredentials: s.flag("use_static_credentials", false),
		Keepalive:            s.duration("keepalive", defaultKeepalive),
		Timeout:              s.duration("timeout", defaultConnectTimeout),
		UseExternalAddr:      s.flag("use_external_addr", false),
	}
	if c.ProtocolPort > maxPort {
		s.fault(CodeRange, s.get("protocol_port"), "protocol_port", fmt.Sprintf("is %d, a port is at most %d", c.ProtocolPort, maxPort), "")
		c.ProtocolPort = 0
	}
	if n := s.get("key_path"); n != nil {
		c.keyLine = n.line
	}
	return c
}

// resolve takes a relative path from the folder of the config file.
func (r *reader) resolve(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(r.dir, path)
}

// LoadKey reads the private key; it returns nil without key_path.
func (c Connector) LoadKey() ([]byte, error) {
	if c.KeyPath == "" {
		return nil, nil
	}
	key, err := os.ReadFile(c.KeyPath)
	if err != nil {
		return nil, fmt.Errorf("read the private key of connector_config.key_path: %w", err)
	}
	return key, nil
}

// ToProvider returns the provider's form of c; key is what LoadKey returned.
func (c Connector) ToProvider(key []byte) provider.ConnectorConfig {
	return provider.ConnectorConfig{
		OS: c.OS, Arch: c.Arch, Protocol: c.Protocol, ProtocolPort: c.ProtocolPort,
		Username: c.Username, Password: c.Password.Reveal(), Key: key, UseStaticCredentials: c.UseStaticCredentials,
		Keepalive: c.Keepalive, Timeout: c.Timeout,
	}
}

// CheckFiles looks for the files that f names, which Parse never does: a file may be checked on another machine than the one it is for.
func (f *File) CheckFiles() *Report {
	report := &Report{}
	for _, r := range f.Runners {
		if r.Autoscaler == nil || r.Autoscaler.Connector.KeyPath == "" {
			continue
		}
		c := r.Autoscaler.Connector
		if _, err := c.LoadKey(); err != nil {
			report.Problems = append(report.Problems, Problem{Severity: Fault, Code: CodeFile, Path: f.Path, Line: c.keyLine,
				Key: "runners.autoscaler.connector_config.key_path", Message: err.Error(), Remedy: "it must be readable by the user that runs taskscaler"})
		}
	}
	report.sort()
	return report
}
