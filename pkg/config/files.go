package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"syscall"
)

// fileError is the error of a file that a key of connector_config names, and that cannot be used.
type fileError struct {
	key, what string
	err       error
	remedy    string
}

// Error names the key, and ends with what to do.
func (e *fileError) Error() string {
	return "connector_config." + e.key + ": " + e.message() + " (" + e.remedy + ")"
}

func (e *fileError) Unwrap() error { return e.err }

func (e *fileError) message() string { return "cannot read " + e.what + ": " + e.err.Error() }

// readNamed reads the file that a key of connector_config names.
func readNamed(key, what, path string, limit int64) ([]byte, error) {
	data, err := readSmall(path, limit)
	if err != nil {
		return nil, &fileError{key, what, err, readRemedy(err, key)}
	}
	return data, nil
}

// readRemedy says what to do about a file that cannot be read.
func readRemedy(err error, key string) string {
	var inFile *fs.PathError
	if errors.As(err, &inFile) {
		return "make it readable for the user that runs taskscaler, or correct " + key
	}
	return "correct " + key
}

// The largest files that are read.
const (
	maxKeyFile    = 64 << 10 // more than any private key has
	maxCAFile     = 1 << 20  // more than the certificates of all public authorities have
	maxKnownHosts = 8 << 20  // enough for some ten thousand hosts
)

// LoadKey reads the private key from the file key_path. It returns nil when key_path is empty. A key with a passphrase is
// still encrypted.
func (c Connector) LoadKey() ([]byte, error) {
	if c.KeyPath == "" {
		return nil, nil
	}
	return readNamed("key_path", "the private key", c.KeyPath, maxKeyFile)
}

// LoadPassphrase returns the passphrase of the private key: key_passphrase, or the only line of the file key_passphrase_path. It returns nil if neither
// is set.
func (c Connector) LoadPassphrase() ([]byte, error) {
	if c.KeyPassphrasePath == "" {
		return []byte(c.KeyPassphrase.Reveal()), nil
	}
	return readPassphrase("key_passphrase_path", "the passphrase of the private key", c.KeyPassphrasePath)
}

// LoadCA reads the certificates from the file winrm_ca_file. It returns nil when winrm_ca_file is empty.
func (c Connector) LoadCA() ([]byte, error) {
	if c.WinRMCAFile == "" {
		return nil, nil
	}
	return readNamed("winrm_ca_file", "the certificates", c.WinRMCAFile, maxCAFile)
}

// LoadJumpKey reads the private key from the file proxy_jump_key_path, and its passphrase. The key is nil when proxy_jump_key_path is empty.
func (c Connector) LoadJumpKey() (key, passphrase []byte, err error) {
	j := c.ProxyJump
	if j.KeyPath == "" {
		return nil, nil, nil
	}
	if key, err = readNamed("proxy_jump_key_path", "the private key of the jump host", j.KeyPath, maxKeyFile); err != nil || j.KeyPassphrasePath == "" {
		return key, nil, err
	}
	passphrase, err = readPassphrase("proxy_jump_key_passphrase_path", "the passphrase of the private key of the jump host", j.KeyPassphrasePath)
	if err != nil {
		return nil, nil, err
	}
	return key, passphrase, nil
}

// LoadKnownHosts reads the file proxy_jump_known_hosts_path. It returns nil when that is empty.
func (c Connector) LoadKnownHosts() ([]byte, error) {
	if c.ProxyJump.KnownHostsPath == "" {
		return nil, nil
	}
	return readNamed("proxy_jump_known_hosts_path", "the known hosts of the jump host", c.ProxyJump.KnownHostsPath, maxKnownHosts)
}

// readPassphrase returns the only line of a file.
func readPassphrase(key, what, path string) ([]byte, error) {
	text, err := readNamed(key, what, path, maxKeyFile)
	if err != nil {
		return nil, err
	}
	line, rest, _ := bytes.Cut(text, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	switch {
	case len(line) == 0:
		err = fmt.Errorf("%s is empty, or its first line is", path)
	case len(bytes.TrimSpace(rest)) > 0:
		err = fmt.Errorf("%s has more than one line", path)
	default:
		return line, nil
	}
	return nil, &fileError{key, what, err, "write the passphrase, and nothing else, into one line of the file"}
}

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

// CheckFiles checks that the files named in f can be read. Parse does not, because a configuration may be checked on another machine.
func (f *File) CheckFiles() *Report {
	report := &Report{}
	for _, r := range f.Runners {
		if r.Autoscaler == nil {
			continue
		}
		f.checkStateKey(r.Autoscaler, report)
		c := r.Autoscaler.Connector
		_, keyErr := c.LoadKey()
		_, passphraseErr := c.LoadPassphrase()
		_, caErr := c.LoadCA()
		_, _, jumpErr := c.LoadJumpKey()
		_, knownErr := c.LoadKnownHosts()
		for _, err := range []error{keyErr, passphraseErr, caErr, jumpErr, knownErr} {
			var named *fileError
			if errors.As(err, &named) {
				key := "connector_config." + named.key
				report.Problems = append(report.Problems, Problem{Severity: Fault, Code: CodeFile, Path: f.Path, Line: r.Autoscaler.LineOf(key),
					Key: "runners.autoscaler." + key, Message: named.message(), Remedy: named.remedy})
			}
		}
	}
	report.sort()
	return report
}

// checkStateKey checks that the key of the state can be read, and only by its owner.
func (f *File) checkStateKey(a *Autoscaler, report *Report) {
	const key = "state_storage.key_file"
	path := a.StateStorage.KeyFile
	if path == "" {
		return
	}
	problem := Problem{Severity: Fault, Code: CodeFile, Path: f.Path, Line: a.LineOf(key), Key: "runners.autoscaler." + key}
	file, err := openFile(path)
	if err != nil {
		problem.Message, problem.Remedy = "cannot read the key of the state: "+err.Error(), readRemedy(err, "key_file")
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
