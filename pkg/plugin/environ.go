package plugin

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// passed are the environment variables that every plugin gets from its host. A name that ends with * stands for all that begin so. Everything else is
// kept from it: the environment of a manager has tokens of other programs. LaunchOptions.Env adds more.
var passed = []string{
	"HOME", "PATH", "USER", "LOGNAME", "TMPDIR", "LANG", "LC_*", "TZ",
	"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "AWS_*", "GOOGLE_*", "CLOUDSDK_*",
}

// PassedEnv returns the names of the environment variables that every plugin gets from its host, if they are set there. A name that ends with * stands for
// all variables that begin so.
func PassedEnv() []string {
	names := slices.Clone(passed)
	if runtime.GOOS == "windows" { // programs do not start without these
		names = append(names, "SYSTEMROOT", "SYSTEMDRIVE", "TEMP", "TMP", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "PATHEXT", "COMSPEC")
	}
	return names
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// CheckEnv returns an error if entry cannot be one of LaunchOptions.Env. It does not show the value.
func CheckEnv(entry string) error {
	name, value, sets := strings.Cut(entry, "=")
	pattern := strings.TrimSuffix(name, "*")
	switch {
	case !envName.MatchString(pattern) || sets && pattern != name:
		return fmt.Errorf("it is no name of a variable: write \"NAME\", \"PREFIX_*\" or \"NAME=value\", where a name has letters, digits and underscores")
	case strings.ContainsRune(value, 0):
		return fmt.Errorf("the value of %s has a byte of zero, which no environment variable can have: remove it", name)
	case slices.Contains(privateEnv(), name):
		return fmt.Errorf("%s belongs to the manager, which sets it: remove the entry", name)
	}
	return nil
}

// childEnv returns the environment of a plugin: what is passed from the environment of the host, then what more asks for, each variable once. Entries of
// more without a value are those of the host.
func childEnv(host, more []string) []string {
	pass := PassedEnv()
	var own []string
	for _, entry := range more {
		if strings.Contains(entry, "=") {
			own = append(own, entry)
		} else {
			pass = append(pass, entry)
		}
	}
	private, set := privateEnv(), map[string]int{}
	var env []string
	add := func(entry string) {
		name, _, _ := strings.Cut(entry, "=")
		if at, again := set[name]; again {
			env[at] = entry
			return
		}
		set[name] = len(env)
		env = append(env, entry)
	}
	for _, entry := range host {
		name, _, _ := strings.Cut(entry, "=")
		if passes(pass, name) && !slices.Contains(private, name) {
			add(entry)
		}
	}
	for _, entry := range own {
		add(entry)
	}
	return env
}

func passes(list []string, name string) bool {
	return slices.ContainsFunc(list, func(p string) bool {
		if prefix, isPattern := strings.CutSuffix(p, "*"); isPattern {
			return strings.HasPrefix(name, prefix)
		}
		return p == name || runtime.GOOS == "windows" && strings.EqualFold(p, name)
	})
}

// unset returns the names that more wants from the host, and that are not set there.
func unset(host, more []string) (names []string) {
	for _, entry := range more {
		if strings.Contains(entry, "=") {
			continue
		}
		if !slices.ContainsFunc(host, func(kv string) bool {
			name, _, _ := strings.Cut(kv, "=")
			return passes([]string{entry}, name)
		}) {
			names = append(names, entry)
		}
	}
	return names
}

// secretEnv matches names of variables that hold a secret, beyond those that redact.ByName knows.
var secretEnv = regexp.MustCompile(`(?i)(^|_)(pass|pwd|pat|auth|cred|creds|key|dsn)$`)

// isPath reports whether a value names a file. A secret in base64 may begin with a slash too, so the file must be there.
func isPath(value string) bool {
	if !filepath.IsAbs(value) {
		return false
	}
	_, err := os.Lstat(value)
	return err == nil
}

// addEnv remembers the secrets of an environment: the values whose names say so, unless they are paths.
func (r *redactor) addEnv(env []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		if isPath(value) || strings.HasSuffix(strings.ToLower(name), "_file") || !r.isSecret(strings.ToLower(name)) && !secretEnv.MatchString(name) {
			continue
		}
		for _, part := range parts(value) {
			r.given[part] = true
		}
	}
	r.finder = nil
}
