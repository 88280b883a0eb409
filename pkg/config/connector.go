package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

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
		Username:             s.line("username"),
		Password:             newSecret(s.str("password", "")),
		KeyPath:              r.resolve(s.line("key_path")),
		UseStaticCredentials: s.flag("use_static_credentials", false),
		Keepalive:            s.duration("keepalive", defaultKeepalive),
		Timeout:              s.duration("timeout", defaultConnectTimeout),
		UseExternalAddr:      s.flag("use_external_addr", false),

		PasswordWithoutHostKey: s.flag("password_without_host_key", false),
		AllowLegacySSH:         s.flag("allow_legacy_ssh", false),
	}
	if c.ProtocolPort > maxPort {
		s.fault(CodeRange, s.get("protocol_port"), "protocol_port", fmt.Sprintf("is %d, but the highest port is %d", c.ProtocolPort, maxPort),
			fmt.Sprintf("write a port from 1 to %d, or remove the line for the default", maxPort))
		c.ProtocolPort = 0
	}
	if n := s.get("key_path"); n != nil {
		c.keyLine = n.line
		if text, ok := n.value.(string); ok && strings.HasPrefix(text, "~") {
			s.fault(CodeValue, n, "key_path", fmt.Sprintf("%q begins with ~, which is not expanded in this file", text), "write the absolute path")
		}
	}
	if s.path == "runners.autoscaler.connector_config" && s.has("password") && c.KeyPath == "" && !c.PasswordWithoutHostKey && !c.WinRM() {
		s.warn(CodePassword, s.get("password"), "password", "is sent only to instances whose host key the plugin reports: no other instance can be logged in to",
			"log in with a key (key_path), or write password_without_host_key = true if you trust the network between the manager and its instances")
	}
	if c.WinRM() && s.path == "runners.autoscaler.connector_config" {
		name := "protocol"
		if !s.has(name) {
			name = "os"
		}
		s.warn(CodeProtocol, s.get(name), name, "asks for WinRM, which is not supported yet: run and exec refuse this runner",
			`install OpenSSH on the instances and write protocol = "ssh"`)
	}
	return c
}

// WinRM reports whether c asks for WinRM: by its protocol, or, without one, by the operating system.
func (c Connector) WinRM() bool {
	switch c.Protocol {
	case provider.ProtocolWinRM, provider.ProtocolWinRMHTTPS:
		return true
	}
	return c.Protocol == "" && c.OS == "windows"
}

// resolve makes a relative path absolute. It is relative to the folder of the config file.
func (r *reader) resolve(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(r.dir, path)
}

// LoadKey reads the private key from the file key_path. It returns nil when key_path is empty.
func (c Connector) LoadKey() ([]byte, error) {
	if c.KeyPath == "" {
		return nil, nil
	}
	key, err := readSmall(c.KeyPath, maxKeyFile)
	if err != nil {
		return nil, &keyFileError{err}
	}
	return key, nil
}

// maxKeyFile is more than any private key has.
const maxKeyFile = 64 << 10

// readSmall reads a regular file. Another one could block for ever or never end, such as a pipe or a device.
func readSmall(path string, limit int64) ([]byte, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s has more than %d KiB", path, limit>>10)
	}
	if err != nil {
		return nil, err
	}
	return data, nil
}

// keyFileError is the error of a private key that cannot be read.
type keyFileError struct{ err error }

func (e *keyFileError) Error() string {
	return "connector_config.key_path: cannot read the private key: " + e.err.Error()
}

func (e *keyFileError) Unwrap() error { return e.err }

// ToProvider returns c in the form that providers take. key is the result of LoadKey.
func (c Connector) ToProvider(key []byte) provider.ConnectorConfig {
	return provider.ConnectorConfig{
		OS: c.OS, Arch: c.Arch, Protocol: c.Protocol, ProtocolPort: c.ProtocolPort,
		Username: c.Username, Password: c.Password.Reveal(), Key: key, UseStaticCredentials: c.UseStaticCredentials,
		Keepalive: c.Keepalive, Timeout: c.Timeout,
	}
}

// CheckFiles checks that the files named in f can be read. Parse does not, because a configuration may be checked on another machine.
func (f *File) CheckFiles() *Report {
	report := &Report{}
	for _, r := range f.Runners {
		if r.Autoscaler == nil {
			continue
		}
		f.checkStateKey(r.Autoscaler, report)
		if r.Autoscaler.Connector.KeyPath == "" {
			continue
		}
		c := r.Autoscaler.Connector
		if _, err := c.LoadKey(); err != nil {
			report.Problems = append(report.Problems, Problem{Severity: Fault, Code: CodeFile, Path: f.Path, Line: c.keyLine,
				Key: "runners.autoscaler.connector_config.key_path", Message: "cannot read the private key: " + errors.Unwrap(err).Error(), Remedy: "make it readable for the user that runs taskscaler, or correct key_path"})
		}
	}
	report.sort()
	return report
}

// openFile opens a regular file.
func openFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // opening a pipe could wait for ever
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is a directory, a pipe or a device, not a file", path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// checkStateKey checks that the key of the state can be read, and only by its owner.
func (f *File) checkStateKey(a *Autoscaler, report *Report) {
	path := a.StateStorage.KeyFile
	if path == "" {
		return
	}
	problem := Problem{Severity: Fault, Code: CodeFile, Path: f.Path, Line: a.stateKeyLine, Key: "runners.autoscaler.state_storage.key_file"}
	file, err := openFile(path)
	if err != nil {
		problem.Message, problem.Remedy = "cannot read the key of the state: "+err.Error(), "make it readable for the user that runs taskscaler, or correct key_file"
		report.Problems = append(report.Problems, problem)
		return
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		problem.Message = fmt.Sprintf("other users can read or write the key of the state %s (mode %04o)", path, info.Mode().Perm())
		problem.Remedy = "chmod 600 " + path
		report.Problems = append(report.Problems, problem)
	}
}
