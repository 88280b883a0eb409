package static

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/taskscaler/taskscaler/internal/nearest"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// Host is one host of the list. What it sets wins over connector_config; what it leaves out comes from there.
type Host struct {
	ExternalAddr string      `json:"external_addr,omitempty" toml:"external_addr"` // a name or an IP address, or with a port: "build1:2222"
	InternalAddr string      `json:"internal_addr,omitempty" toml:"internal_addr"` // the same; at least one of both is needed
	Username     string      `json:"username,omitempty" toml:"username"`
	Password     secret.Text `json:"password,omitzero" toml:"password"`
	KeyPath      string      `json:"key_path,omitempty" toml:"key_path"`   // file with a private key that is not encrypted
	Timeout      duration    `json:"timeout,omitzero" toml:"timeout"`      // how long connecting is retried
	OS           string      `json:"os,omitempty" toml:"os"`               // such as "linux" or "windows"
	Protocol     string      `json:"protocol,omitempty" toml:"protocol"`   // "ssh", "winrm" or "winrm+https"
	HostKeys     []string    `json:"host_keys,omitempty" toml:"host_keys"` // SSH host keys as in authorized_keys. Without them the manager pins the key at first contact.
}

// duration is a provider.Duration that can stand in TOML too, there only as a text. It is a struct: into a type that is an integer, the library reads a number
// as nanoseconds.
type duration struct{ provider.Duration }

// UnmarshalText reads a text of TOML such as "1m30s".
func (d *duration) UnmarshalText(text []byte) error {
	if err := d.Duration.UnmarshalText(text); err != nil {
		return fmt.Errorf("%q is not a duration: write a string such as \"90s\" or \"10m\"", text)
	}
	return nil
}

// maxFile bounds the files that the configuration names.
const maxFile = 4 << 20

// validName matches the names of groups and hosts. Both are parts of ids.
var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// prepare checks the configuration, returns all faults in one error, and fills in the defaults. It reads the hosts.
func (g *InstanceGroup) prepare() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	g.Name = cmp.Or(g.Name, "static")
	if !validName.MatchString(g.Name) {
		fault("name: %q is not a valid name: use up to 64 letters, digits, dots, dashes and underscores", g.Name)
	}
	if g.Dir == "" {
		g.Dir = filepath.Join(".taskscaler-static", g.Name)
	}
	if dir, err := filepath.Abs(g.Dir); err != nil {
		fault("find the working directory, set dir to an absolute path: %w", err)
	} else {
		g.Dir = dir
	}
	switch {
	case g.ResetTimeout.Duration == 0:
		g.ResetTimeout.Duration = provider.Duration(defaultResetTimeout)
	case g.ResetTimeout.Duration < 0:
		fault("reset_timeout: must not be negative, is %s", g.ResetTimeout)
	}
	if (len(g.Instances) > 0) == (g.InstancesFile != "") {
		fault("write the hosts into instances, or set instances_file to a file that has them, and not both")
	}
	if len(faults) > 0 {
		return all(faults)
	}
	hosts, err := g.read()
	if err != nil {
		return err
	}
	g.hosts = hosts
	return nil
}

// read returns the hosts that the configuration or its file has now.
func (g *InstanceGroup) read() (map[string]Host, error) {
	hosts, where := g.Instances, "instances"
	if g.InstancesFile != "" {
		g.InstancesFile = absolute(g.InstancesFile)
		where = "instances_file: " + g.InstancesFile
		b, err := readFile(g.InstancesFile)
		if err != nil {
			return nil, fmt.Errorf("instances_file: %w: correct the path, or write the file: a table for each host, such as [build1] with internal_addr = \"10.0.0.5\"", err)
		}
		if hosts, err = parseHosts(b); err != nil {
			return nil, fmt.Errorf("instances_file: %s: %w", g.InstancesFile, err)
		}
		if err := safe(g.InstancesFile, hosts); err != nil {
			return nil, fmt.Errorf("instances_file: %w", err)
		}
		if len(hosts) == 0 {
			return nil, fmt.Errorf("instances_file: %s has no host: write a table for each, such as [build1] with internal_addr = \"10.0.0.5\"", g.InstancesFile)
		}
	}
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(hosts)) {
		h := hosts[name]
		for _, err := range append(h.check(name), g.checkHostKeys(&h)...) {
			faults = append(faults, fmt.Errorf("%s: %s: %w", where, name, err))
		}
	}
	for _, err := range g.same(hosts) {
		faults = append(faults, fmt.Errorf("%s: %w", where, err))
	}
	return hosts, all(faults)
}

// all returns the faults as one error; nil if there is none.
func all(faults []error) error {
	if len(faults) == 0 {
		return nil
	}
	texts := make([]string, 0, len(faults))
	for _, f := range faults {
		texts = append(texts, f.Error())
	}
	return errors.New(strings.Join(texts, "; "))
}

// hostKeys are the keys of a Host.
var hostKeys = []string{"external_addr", "host_keys", "internal_addr", "key_path", "os", "password", "protocol", "timeout", "username"}

// safe refuses a file of hosts that others may write, and one with passwords that others may read.
func safe(path string, hosts map[string]Host) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	secrets := slices.ContainsFunc(slices.Collect(maps.Values(hosts)), func(h Host) bool { return !h.Password.Empty() })
	switch mode := info.Mode().Perm(); {
	case mode&0o002 != 0:
		return fmt.Errorf("every user may write to %s: chmod o-w %s", path, path)
	case secrets && mode&0o004 != 0:
		return fmt.Errorf("every user may read %s, which has passwords: chmod o-r %s", path, path)
	}
	return nil
}

// parseHosts reads a TOML file with one table for each host.
func parseHosts(b []byte) (map[string]Host, error) {
	var hosts map[string]Host
	dec := toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields()
	err := dec.Decode(&hosts)
	var syntax *toml.DecodeError
	var unknown *toml.StrictMissingError
	switch {
	case errors.As(err, &unknown):
		e := unknown.Errors[0]
		line, _ := e.Position()
		key := e.Key()
		return nil, fmt.Errorf("line %d: unknown key %q (%s)", line, strings.Join(key, "."), nearest.Remedy(key[len(key)-1], hostKeys, "the plugin's documentation"))
	case errors.As(err, &syntax):
		line, _ := syntax.Position()
		if key := syntax.Key(); len(key) > 0 && strings.Contains(err.Error(), "cannot decode") { // the library's text names types of Go
			return nil, fmt.Errorf("line %d: %s has the wrong type: a host is a table such as [build1], host_keys is a list, and the other values are texts in quotes", line, strings.Join(key, "."))
		}
		if strings.Contains(err.Error(), "cannot store an array table") {
			return nil, fmt.Errorf("line %d: each host is a table of its own: write [NAME], not [[NAME]]", line)
		}
		return nil, fmt.Errorf("line %d: %s: correct this file; to change it while the manager runs, write a new one and rename it", line, strings.TrimPrefix(err.Error(), "toml: "))
	}
	return hosts, err
}

// check returns the faults of a host.
func (h *Host) check(name string) (faults []error) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if !validName.MatchString(name) {
		fault("%q is not a valid name of a host: use up to 64 letters, digits, dots, dashes and underscores", name)
	}
	if h.ExternalAddr == "" && h.InternalAddr == "" {
		fault("set internal_addr or external_addr")
	}
	for _, a := range [][2]string{{"external_addr", h.ExternalAddr}, {"internal_addr", h.InternalAddr}} {
		if err := checkAddr(a[1]); err != nil {
			fault("%s: %w", a[0], err)
		}
	}
	if h.Timeout.Duration < 0 {
		fault("timeout: must not be negative, is %s", h.Timeout)
	}
	switch provider.Protocol(h.Protocol) {
	case "", provider.ProtocolSSH, provider.ProtocolWinRM, provider.ProtocolWinRMHTTPS:
	default:
		fault("protocol: %q is not known: use ssh, winrm or winrm+https", h.Protocol)
	}
	if h.KeyPath != "" {
		if key, err := readFile(h.KeyPath); err != nil {
			fault("key_path: %w: correct the path, or put the private key there, readable by the user of the manager", err)
		} else if err := connector.CheckKey(key, connector.DialOptions{LegacyAlgorithms: true}); err != nil && !strings.HasPrefix(h.Protocol, "winrm") {
			fault("key_path: %s: %w", absolute(h.KeyPath), err)
		}
	}
	return faults
}

// absolute returns the path as messages print it. Relative paths begin at the working directory, which is the folder of the configuration.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// checkAddr refuses what no address is. An empty one is not set.
func checkAddr(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		host, port = strings.TrimSuffix(strings.TrimPrefix(addr, "["), "]"), "0"
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%q has no valid port: write a number from 0 to 65535", addr)
	}
	if addr != "" && (host == "" || strings.ContainsAny(host, "/@ \t\r\n") || strings.Contains(host, ":") && net.ParseIP(strings.Split(host, "%")[0]) == nil) {
		return fmt.Errorf("%q is not an address: write a name or an IP address, and a port if it is not the default: build1:2222", addr)
	}
	return nil
}

// readFile reads a small regular file.
func readFile(path string) ([]byte, error) {
	path = absolute(path)
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, fmt.Errorf("%s is not a regular file", path))
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s has more than %d bytes", path, maxFile)
	}
	return b, err
}
