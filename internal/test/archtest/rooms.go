package archtest

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

const module = "github.com/taskscaler/taskscaler"

// pureRooms lists the packages that decide. They know only what their arguments say.
var pureRooms = []string{"pkg/record", "pkg/failure", "pkg/policy", "internal/fleet", "internal/scaler", "pkg/cloudmodel"}

// ban is an import that a room must not have.
type ban struct {
	// imports is a path, and stands for everything below it too. "~" at its start is this module. If its first element has no dot, it is in the
	// standard library.
	imports string
	why     string
}

// room is a part of the module, with the imports that it must not have.
type room struct {
	dir   string // below the module's root; packages below it belong to the room
	bans  []ban
	reach bool     // indirect imports count too; imports of the standard library's packages do not
	allow []string // exceptions: these packages may be imported, and their own imports are not checked
}

const (
	whyClock  = "a pure room gets the time as an argument, and starts nothing"
	whyIO     = "a pure room does no I/O; its output is data"
	whyShared = "one goroutine owns the values of a pure room; a lock hides the use by a second one"
	whyLog    = "a pure room reports what happened as data, and the shell may log it"
	whyWire   = "only pkg/plugin knows the protocol of plugins"
	whyDB     = "only pkg/statestore knows the file format"
	whySDK    = "the SDK of a cloud belongs to the process of its plugin"
)

// pure lists the bans of every pure room.
var pure = []ban{
	{"context", "a pure room cannot be cancelled; a step is short"}, {"log", whyLog}, {"os", whyIO}, {"io/ioutil", whyIO}, {"net", whyIO},
	{"syscall", whyIO}, {"sync", whyShared}, {"testing", "only test files import it"}, {"runtime", whyClock},
	{"crypto/rand", "randomness is an argument"},
	{"google.golang.org/grpc", whyWire}, {"github.com/hashicorp", whyWire}, {"go.etcd.io", whyDB},
	{"~pkg/provider", "the core knows only the ids of instances"},
	{"~pkg/statestore", whyDB}, {"~pkg/taskscaler", "the shell calls the core, and the core does not call the shell"}, {"~pkg/plugin", whyWire},
	{"~pkg/config", "settings are arguments"}, {"~pkg/connector", whyIO}, {"~cmd", "nothing imports a command"}, {"~plugins", whyIO},
}

var sdks = []ban{{"github.com/aws", whySDK}, {"cloud.google.com", whySDK}, {"google.golang.org/api", whySDK}, {"github.com/Azure", whySDK}}

func with(more ...ban) []ban { return append(slices.Clip(slices.Concat(pure, sdks)), more...) }

func bans(why string, imports ...string) (list []ban) {
	for _, i := range imports {
		list = append(list, ban{i, why})
	}
	return list
}

// rooms lists which room must not import what.
var rooms = []room{
	{dir: "pkg/policy", reach: true, bans: with(ban{"~internal/fleet", "the calendar must not depend on instances"},
		ban{"~internal/scaler", "the core uses the calendar, and the calendar does not use the core"}),
		allow: []string{"github.com/robfig/cron/v3", "time/tzdata"}},
	{dir: "pkg/record", reach: true, bans: with(bans("records are data and do not decide", "~internal", "~pkg/policy", "~pkg/failure")...)},
	{dir: "pkg/failure", reach: true, bans: with(bans("kinds of failure are data and do not decide", "~internal", "~pkg/policy", "~pkg/record")...)},
	{dir: "pkg/secret", bans: bans("every package may use it, so it uses none", "~pkg", "~internal", "~cmd")},
	{dir: "internal/fleet", reach: true, bans: with(ban{"~pkg/policy", "the register must not depend on policies"},
		ban{"~internal/scaler", "the core uses the register, and the register does not use the core"})},
	{dir: "internal/scaler", reach: true, bans: pureAndSDKs(), allow: []string{"golang.org/x/time/rate", "github.com/robfig/cron/v3"}},
	{dir: "pkg/cloudmodel", reach: true, bans: with(bans("the model of the cloud must not depend on its callers", "~internal/scaler", "~pkg/policy")...)},
	{dir: "pkg/provider", reach: true, bans: slices.Concat(sdks, bans(whyWire, "google.golang.org/grpc", "github.com/hashicorp/go-plugin"),
		bans("the contract must not depend on its users", "~internal/scaler", "~internal/fleet", "~pkg/record", "~pkg/taskscaler", "~pkg/config"))},
	{dir: "pkg/provider/pluginkit", bans: slices.Concat(bans("who writes a plugin pays for it", "golang.org", "github.com/hashicorp/go-plugin"),
		bans("helpers of plugins know the contract only", "~internal", "~pkg/plugin", "~pkg/secret")), allow: []string{"golang.org/x/time/rate"}},
	{dir: "pkg/provider/conformance", bans: bans("the command uses it, and it must not contain a test framework", "testing", "~internal", "~pkg/provider/providertest")},
	{dir: "internal/faultproxy", bans: bans("a proxy for any plugin: it must not depend on the manager", "~internal", "~pkg/taskscaler", "~pkg/config", "~cmd")},
	{dir: "internal/cloudtest", bans: slices.Concat(sdks, bans("a cloud that plugins are tested against must not depend on the manager", "~internal/scaler", "~internal/fleet", "~pkg/policy",
		"~pkg/taskscaler", "~pkg/statestore", "~pkg/config", "~cmd"))},
	{dir: "internal/plugincheck", bans: bans("it checks a plugin, and must not depend on the manager", "~internal/scaler", "~internal/fleet", "~internal/daemon", "~pkg/policy", "~pkg/taskscaler",
		"~pkg/statestore", "~pkg/config", "~cmd", "testing")},
	{dir: "internal/sshmachine", bans: bans("it only serves SSH, and does not know for whom", "~pkg", "~internal", "~cmd")},
	{dir: "internal/cloudtest/machine", bans: bans("a machine does not know who uses it", "~pkg", "~internal", "~cmd"),
		allow: []string{module + "/internal/sshmachine"}},
	{dir: "internal/brokengroup", bans: bans("a faulty plugin is a plugin: it must not depend on the manager", "~internal/scaler", "~internal/fleet", "~pkg/policy", "~pkg/taskscaler",
		"~pkg/statestore", "~pkg/config", "~cmd")},
	{dir: "pkg/plugin", reach: true, bans: slices.Concat(sdks, bans("plugins import it, and must not contain the manager",
		"~internal/scaler", "~internal/fleet", "~pkg/record", "~pkg/taskscaler", "~pkg/config", "~pkg/policy", "~pkg/statestore"))},
	{dir: "pkg/connector", bans: bans("it connects to an instance, and must not depend on the reason", "~internal/fleet", "~internal/scaler", "~pkg/policy",
		"~pkg/taskscaler", "~pkg/statestore", "~pkg/config")},
	{dir: "pkg/statestore", reach: true, bans: slices.Concat(sdks, bans("it stores records, and must not depend on their meaning", "~internal/scaler", "~internal/fleet", "~pkg/provider",
		"~pkg/policy", "~pkg/taskscaler", "~pkg/config"))},
	{dir: "pkg/taskscaler", bans: slices.Concat(sdks, bans(whyDB, "go.etcd.io/bbolt"),
		bans(whyWire, "google.golang.org/grpc", "github.com/hashicorp/go-plugin"),
		bans("the shell is embedded, and settings are arguments", "~pkg/config", "~cmd", "~plugins"))},
	{dir: "pkg/simulate", reach: true, bans: slices.Concat(sdks, bans("a simulation has no real instances, no plugin processes and no state files",
		"~pkg/taskscaler", "~pkg/plugin", "~pkg/connector", "~pkg/statestore", "~plugins"))},
	{dir: "pkg/config", reach: true, bans: slices.Concat(sdks, bans("it only reads a file, and starts nothing", "~pkg/taskscaler", "~pkg/plugin",
		"~pkg/connector", "~pkg/statestore", "~cmd"))},
	{dir: "pkg/setup", bans: slices.Concat(sdks, bans("it only makes settings from a file, and starts nothing", "~internal", "~pkg/simulate", "~cmd", "~plugins"))},
	{dir: "plugins", bans: bans("a plugin must not depend on the manager", "~internal/scaler", "~internal/fleet", "~pkg/policy", "~pkg/taskscaler",
		"~pkg/statestore", "~pkg/config", "~cmd")},
	{dir: "internal/observe", bans: slices.Concat(sdks, bans("it only makes text, and does no I/O", "net", "os", "~pkg/taskscaler", "~pkg/plugin", "~pkg/statestore",
		"~pkg/connector", "~pkg/config", "~internal/control", "~internal/daemon", "~cmd"))},
	{dir: "internal/journal", bans: bans("the shell uses it, and it does not use the shell", "~pkg/taskscaler", "~pkg/statestore", "~pkg/provider", "~pkg/config", "~cmd")},
	{dir: "internal/explain", bans: bans("it explains a replay, and does not need a running manager", "~pkg/taskscaler", "~pkg/statestore", "~pkg/plugin", "~internal/daemon", "~cmd")},
	{dir: "internal/daemon", bans: slices.Concat(bans(whyDB, "go.etcd.io/bbolt"), bans(whyWire, "google.golang.org/grpc", "github.com/hashicorp/go-plugin"),
		bans("nothing imports a command", "~cmd"), bans("only the core of a manager decides", "~internal/scaler", "~pkg/simulate"))},
	{dir: "internal/control", bans: bans("it only passes on leases and status", "~internal/scaler", "~internal/fleet", "~pkg/policy", "~pkg/config",
		"~pkg/plugin", "~pkg/statestore", "~internal/daemon", "~cmd")},
	{dir: "internal/jobexec", bans: bans("a job uses only the control API of the manager", "~pkg/taskscaler", "~internal/scaler", "~internal/fleet", "~internal/daemon",
		"~pkg/config", "~pkg/statestore", "~cmd")},
	{dir: "internal/clock", bans: bans("it only reads clocks", "~pkg", "~internal", "~cmd")},
	{dir: "internal/words", bans: bans("every package may use it, so it uses none", "~pkg", "~internal", "~cmd")},
	{dir: "internal/logqueue", bans: bans("it only writes bytes", "~pkg", "~internal", "~cmd")},
	{dir: "internal/redact", bans: bans("every package may use it, so it uses none", "~pkg", "~internal", "~cmd")},
	{dir: "internal/safetext", bans: bans("every package may use it, so it uses none", "~pkg", "~internal", "~cmd")},
	{dir: "internal/descriptors", bans: bans("every package may use it, so it uses none", "~pkg", "~internal", "~cmd")},
	{dir: "internal/lockholder", bans: bans("every package may use it, so it uses none", "~pkg", "~internal", "~cmd")},
	{dir: "internal/pathguard", bans: bans("every package may use it, so it uses none", "~pkg", "~internal", "~cmd")},
	{dir: "internal/winrm", bans: bans("it only speaks a protocol, and does not know what for", "~pkg", "~internal", "~cmd"),
		allow: []string{module + "/internal/safetext", module + "/pkg/secret"}},
	{dir: "internal/nearest", bans: bans("every package may use it, so it uses none", "~pkg", "~internal", "~cmd")},
	{dir: "internal/test/soak/check", reach: true, bans: bans("the checker must share no code with the program that it checks", "~pkg", "~internal", "~cmd")},
	{dir: "examples", bans: bans("an example is copied into another repository, which can import public packages only", "~internal", "~plugins", "~cmd")},
	{dir: "cmd", bans: slices.Concat(sdks, bans(whyDB, "go.etcd.io/bbolt"), bans(whyWire, "github.com/hashicorp/go-plugin"))},
}

func pureAndSDKs() []ban { return with() }

// nested lists the folders that are modules of their own. The rest of the repository is the library.
var nested = []string{"cmd/taskscaler", "pkg/simulate", "plugins/aws", "plugins/gcp", "examples/docker-autoscaler-executor", "examples/plugin", "internal/test"}

// moduleOf returns the folder of the module that contains the package p; "" is the root.
func moduleOf(p string) string {
	for _, dir := range nested {
		if within(p, path.Join(module, dir)) {
			return dir
		}
	}
	return ""
}

// checkModules checks the imports between modules: the library imports no other module, and no product code imports the workshop.
func (g graph) checkModules(p string) (breaches []string) {
	from := moduleOf(p)
	for _, to := range g[p].Imports {
		if !within(to, module) {
			continue
		}
		switch other := moduleOf(to); {
		case other == from:
		case other == "internal/test":
			breaches = append(breaches, fmt.Sprintf("%s may not import %s: the product must not use the workshop", short(p), short(to)))
		case from == "" && other != "":
			breaches = append(breaches, fmt.Sprintf("%s may not import %s: every embedder then depends on the module %s", short(p), short(to), other))
		case from == "pkg/simulate" && other == "cmd/taskscaler":
			breaches = append(breaches, fmt.Sprintf("%s may not import %s: nothing imports a command", short(p), short(to)))
		}
	}
	return breaches
}

// exclusive lists imports that only some rooms may have. Only direct imports count.
var exclusive = []struct {
	imports, why string
	rooms        []string
}{
	{"github.com/hashicorp/go-plugin", whyWire, []string{"pkg/plugin"}},
	{"go.etcd.io/bbolt", whyDB, []string{"pkg/statestore"}},
	{"filippo.io/age", "a store without encryption must not depend on it", []string{"pkg/statestore/agekeys"}},
	{"github.com/aws", whySDK, []string{"plugins/aws", "internal/cloudtest"}},
	{"cloud.google.com", whySDK, []string{"plugins/gcp", "internal/cloudtest"}},
	{"google.golang.org/api", whySDK, []string{"plugins/gcp", "internal/cloudtest"}},
	{"github.com/moby", "only an executor of containers speaks to a Docker engine", []string{"examples/docker-autoscaler-executor"}},
	{"github.com/spf13/cobra", "only commands have flags", []string{"cmd"}},
	{"oras.land/oras-go", "only the command installs plugins", []string{"cmd/taskscaler/internal/oci"}},
	{"github.com/sigstore", "only the command verifies signatures", []string{"cmd/taskscaler/internal/cosign"}},
	{"golang.org/x/time", "a plugin pays for it only if it imports httpkit", []string{"pkg/provider/pluginkit/httpkit", "internal/scaler"}},
	{"github.com/robfig/cron/v3", "only pkg/policy parses periods", []string{"pkg/policy"}},
}

// node is a package and its imports.
type node struct {
	ImportPath string
	Standard   bool
	Imports    []string
}

// graph holds every package that the module uses, by path.
type graph map[string]*node

// within reports whether a path is root, or below it.
func within(p, root string) bool { return p == root || strings.HasPrefix(p, root+"/") }

func absolute(p string) string {
	if rest, ours := strings.CutPrefix(p, "~"); ours {
		return path.Join(module, rest)
	}
	return p
}

// check returns every forbidden import, in the order of the packages' names.
func (g graph) check() (breaches []string) {
	for _, p := range g.paths() {
		for _, r := range rooms {
			if within(p, path.Join(module, r.dir)) {
				breaches = append(breaches, g.checkRoom(p, r)...)
			}
		}
		breaches = append(breaches, g.checkExclusive(p)...)
		breaches = append(breaches, g.checkModules(p)...)
	}
	return breaches
}

// paths returns the sorted paths of the module's packages.
func (g graph) paths() (own []string) {
	for p := range g {
		if within(p, module) {
			own = append(own, p)
		}
	}
	slices.Sort(own)
	return own
}

// checkRoom follows the imports of one package, breadth first, so it reports the shortest chain to each forbidden import.
func (g graph) checkRoom(start string, r room) (breaches []string) {
	from, queue := map[string]string{start: ""}, []string{start}
	told := make(map[string]bool)
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, to := range g[at].Imports {
			if b := banned(to, r); b != nil {
				if !told[to] {
					breaches = append(breaches, fmt.Sprintf("%s may not import %s: %s", trail(from, at), short(to), b.why))
				}
				told[to] = true
				continue
			}
			if _, seen := from[to]; seen || !r.reach || g[to] == nil || g[to].Standard || allowed(to, r) {
				continue
			}
			from[to] = at
			queue = append(queue, to)
		}
	}
	return breaches
}

func allowed(p string, r room) bool {
	return slices.ContainsFunc(r.allow, func(a string) bool { return within(p, a) })
}

func banned(p string, r room) *ban {
	if allowed(p, r) {
		return nil
	}
	for i := range r.bans {
		if within(p, absolute(r.bans[i].imports)) && !within(p, path.Join(module, r.dir)) {
			return &r.bans[i]
		}
	}
	return nil
}

func (g graph) checkExclusive(p string) (breaches []string) {
	for _, e := range exclusive {
		mayHave := func(room string) bool { return within(p, path.Join(module, room)) }
		for _, to := range g[p].Imports {
			if within(to, e.imports) && !slices.ContainsFunc(e.rooms, mayHave) {
				breaches = append(breaches, fmt.Sprintf("%s may not import %s: %s (only %s)", short(p), to, e.why, strings.Join(e.rooms, ", ")))
			}
		}
	}
	return breaches
}

// trail returns the chain of imports from the room to the package with the forbidden import.
func trail(from map[string]string, at string) string {
	steps := []string{short(at)}
	for at = from[at]; at != ""; at = from[at] {
		steps = append(steps, short(at))
	}
	slices.Reverse(steps)
	return strings.Join(steps, " → ")
}

func short(p string) string { return strings.TrimPrefix(p, module+"/") }
