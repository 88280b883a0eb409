package setup

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/taskscaler/taskscaler/pkg/plugin"
)

// LockFile is the name of the lock file. It is in the folder of the configuration, and says which bytes of a plugin may run.
const LockFile = "taskscaler.lock"

const (
	lockVersion = 1
	maxLock     = 1 << 20 // bytes
	// lockRemedy: `plugin lock` does not replace a lock that it cannot read, because its keys and the entries of other platforms would be lost unnoticed.
	lockRemedy = "restore it, or remove it and run `taskscaler plugin lock`"
	lockHead   = "# Which bytes of each plugin may run. `taskscaler plugin lock` writes this file; keep it with the configuration.\n"
)

// Lock is a lock file.
type Lock struct {
	Path    string         `toml:"-"`
	Version int            `toml:"version"`
	Plugins []LockedPlugin `toml:"plugin"`
}

// LockedPlugin is one plugin of a lock file, for one platform.
type LockedPlugin struct {
	Name     string `toml:"name"`             // as the configuration has it, also with its constraint: "aws:1.5". A path below the folder of the file begins with "./".
	Platform string `toml:"platform"`         // os/arch
	Version  string `toml:"version"`          // that it had when it was locked
	SHA256   string `toml:"sha256"`           // lower-case hex
	Digest   string `toml:"digest,omitempty"` // of the image in the registry from which it was installed
	Key      string `toml:"key,omitempty"`    // the public key that must have signed what `plugin install` installs: PKIX in base64
}

// LockError says that a lock file cannot be used, or does not fit the configuration.
type LockError struct {
	Path string // of the lock file
	Err  error
}

// Error names the lock file.
func (e *LockError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap returns what is wrong.
func (e *LockError) Unwrap() error { return e.Err }

var sumText = regexp.MustCompile(`^[0-9a-f]{64}$`)

// ReadLock reads the lock file of a configuration. It returns nil if there is none. The error is a *LockError.
func ReadLock(configPath string) (*Lock, error) {
	path, err := filepath.Abs(filepath.Join(filepath.Dir(configPath), LockFile))
	if err != nil {
		return nil, err
	}
	data, err := readLock(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	lock := &Lock{Path: path}
	if err == nil {
		err = lock.parse(data)
	}
	if err != nil {
		return nil, &LockError{path, err}
	}
	return lock, nil
}

func readLock(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("it is not a regular file: %s", lockRemedy)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o002 != 0:
		return nil, fmt.Errorf("every user may write to it, and so decide which plugins run: chmod o-w %s", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxLock+1))
	if err == nil && len(data) > maxLock {
		err = fmt.Errorf("it has more than %d bytes: %s", maxLock, lockRemedy)
	}
	return data, err
}

func (l *Lock) parse(data []byte) error {
	err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(l)
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) {
		line, _ := unknown.Errors[0].Position()
		return fmt.Errorf("line %d: unknown key %q: %s", line, strings.Join(unknown.Errors[0].Key(), "."), lockRemedy)
	}
	var syntax *toml.DecodeError
	if errors.As(err, &syntax) {
		line, _ := syntax.Position()
		return fmt.Errorf("line %d: %s: %s", line, strings.TrimPrefix(err.Error(), "toml: "), lockRemedy)
	}
	if err != nil {
		return err
	}
	if l.Version != lockVersion {
		return fmt.Errorf("it has the version %d, and this taskscaler reads version %d: %s", l.Version, lockVersion, lockRemedy)
	}
	for i, p := range l.Plugins {
		same := func(o LockedPlugin) bool { return o.Name == p.Name && o.Platform == p.Platform }
		switch {
		case p.Name == "" || p.Platform == "" || !sumText.MatchString(p.SHA256):
			return fmt.Errorf("plugin %d (%q) has no name, no platform or no sha256 of 64 hexadecimal digits: %s", i+1, p.Name, lockRemedy)
		case slices.IndexFunc(l.Plugins, same) != i:
			return fmt.Errorf("plugin %q is there twice for %s: %s", p.Name, p.Platform, lockRemedy)
		}
	}
	return nil
}

// Platform is the platform of this process, as a lock file has it.
func Platform() string { return runtime.GOOS + "/" + runtime.GOARCH }

// Find returns the entry of a plugin for this platform. name is as in the configuration.
func (l *Lock) Find(name string) (LockedPlugin, bool) {
	if l == nil {
		return LockedPlugin{}, false
	}
	name = l.key(name)
	for _, p := range l.Plugins {
		if p.Name == name && p.Platform == Platform() {
			return p, true
		}
	}
	return LockedPlugin{}, false
}

// Key returns the public key that must have signed a plugin, or "". One that is known for another platform holds for this one, unless this one has its own.
func (l *Lock) Key(name string) string {
	if own, _ := l.Find(name); own.Key != "" || l == nil {
		return own.Key
	}
	name = l.key(name)
	for _, p := range l.Plugins {
		if p.Name == name && p.Key != "" {
			return p.Key
		}
	}
	return ""
}

// SetKey records the public key that must have signed a plugin. It does nothing if the lock has no entry of the plugin for this platform.
func (l *Lock) SetKey(name, key string) {
	name = l.key(name)
	for i, p := range l.Plugins {
		if p.Name == name && p.Platform == Platform() {
			l.Plugins[i].Key = key
		}
	}
}

// Set replaces the entry of a plugin for this platform, or adds it. The entries of other plugins and platforms stay, and so does the key. digest may be empty; the
// one of before stays then, if the bytes are the same.
func (l *Lock) Set(name, version, sum, digest string) {
	next := LockedPlugin{Name: l.key(name), Platform: Platform(), Version: version, SHA256: strings.ToLower(sum), Digest: digest, Key: l.Key(name)}
	if old, ok := l.Find(name); ok && digest == "" && old.SHA256 == next.SHA256 {
		next.Digest = old.Digest
	}
	l.Plugins = slices.DeleteFunc(l.Plugins, func(p LockedPlugin) bool { return p.Name == next.Name && p.Platform == next.Platform })
	l.Plugins = append(l.Plugins, next)
	slices.SortFunc(l.Plugins, func(a, b LockedPlugin) int { return strings.Compare(a.Name+" "+a.Platform, b.Name+" "+b.Platform) })
}

// key returns the name under which the lock has a plugin. A path below its folder is relative, so that the folder can be moved.
func (l *Lock) key(name string) string {
	if !filepath.IsAbs(name) {
		return name
	}
	if rel, err := filepath.Rel(filepath.Dir(l.Path), name); err == nil && filepath.IsLocal(rel) {
		return "./" + filepath.ToSlash(rel)
	}
	return name
}

// Write stores the lock: whole, or not at all.
func (l *Lock) Write() (err error) {
	l.Version = lockVersion
	body, err := toml.Marshal(l)
	if err != nil {
		return &LockError{l.Path, err}
	}
	f, err := os.CreateTemp(filepath.Dir(l.Path), LockFile+".*")
	if err != nil {
		return &LockError{l.Path, err}
	}
	_, err = f.WriteString(lockHead + string(body))
	if err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), l.Path)
	}
	if err != nil {
		return &LockError{l.Path, errors.Join(err, os.Remove(f.Name()))}
	}
	return nil
}

// Located is a plugin that was found, and what the lock file says of it.
type Located struct {
	plugin.Location
	Written string // the name as the configuration has it
	lock    *Lock  // nil: there is no lock file
	locked  LockedPlugin
	in      bool // the lock has it
}

// Locate finds a plugin as plugin.Locate does. If the lock file beside the configuration has it in one version, that version is found, if it is installed: a
// newer one is not taken before the lock is updated. configPath may be empty: then there is no lock.
func Locate(name, configPath string, find plugin.FindOptions) (Located, error) {
	out := Located{Written: name}
	if configPath != "" {
		lock, err := ReadLock(configPath)
		if err != nil {
			return out, err
		}
		out.lock = lock
		out.locked, out.in = lock.Find(name)
	}
	var err error
	if out.in && out.locked.Version != "" && !filepath.IsAbs(name) {
		found, lockedErr := plugin.Locate(withVersion(name, out.locked.Version), find)
		if lockedErr == nil && found.Version != "" {
			out.Location = found
			out.Why = fmt.Sprintf("%s has it in version %s, which is installed", out.lock.Path, out.locked.Version)
			return out, nil
		}
	}
	out.Location, err = plugin.Locate(name, find)
	return out, err
}

// withVersion replaces the constraint of a plugin's name.
func withVersion(name, version string) string {
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name = name[:i]
	}
	return name + ":" + version
}

// Lock returns the lock file that was read, and its entry for the plugin. in is false if it has none.
func (l Located) Lock() (path string, entry LockedPlugin, in bool) {
	if l.lock == nil {
		return "", LockedPlugin{}, false
	}
	return l.lock.Path, l.locked, l.in
}

// CheckLock returns a *LockError if there is a lock file that forbids a start of this file: it lacks the plugin, or has it with other bytes. Another error is one of
// reading the file.
func (l Located) CheckLock() error {
	want, _, err := l.sum("")
	if err != nil || want == "" {
		return err
	}
	got, err := plugin.Sum(l.Path)
	if err != nil || strings.EqualFold(got, want) {
		return err
	}
	return otherBytes(l.lock.Path, l.Written, want, l.Path, got)
}

// otherBytes says that the file of a plugin is not the one of the lock file.
func otherBytes(lock, name, want, path, got string) error {
	return &LockError{lock, fmt.Errorf("the sum of plugin %q is %s, but %s has %s: if you have updated the plugin, run `taskscaler plugin lock` for this configuration", name, want, path, got)}
}

// sum returns the sum that the plugin must have, and where it comes from. pinned is plugin_sha256.
func (l Located) sum(pinned string) (sum, from string, err error) {
	switch {
	case l.lock == nil:
		return pinned, "", nil
	case !l.in:
		return "", "", &LockError{l.lock.Path, fmt.Errorf("plugin %q is not in it for %s: run `taskscaler plugin lock` for this configuration, if the installed plugin may run", l.Written, Platform())}
	case pinned != "" && !strings.EqualFold(pinned, l.locked.SHA256):
		return "", "", &LockError{l.lock.Path, fmt.Errorf("it has another sum for plugin %q than plugin_sha256: correct or remove plugin_sha256, or run `taskscaler plugin lock`", l.Written)}
	}
	return l.locked.SHA256, "the sum in " + l.lock.Path, nil
}
