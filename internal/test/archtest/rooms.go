package archtest

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

const module = "github.com/taskscaler/taskscaler"

// PureRooms decide. What they are given is all that they know.
var pureRooms = []string{"pkg/record", "pkg/failure", "pkg/policy", "internal/fleet", "internal/scaler", "pkg/cloudmodel"}

// ban is an import that a room may not have.
type ban struct {
	imports string // a path and everything below it; without a dot in its first element the standard library's, with "~" this module's
	why     string
}

// room is a part of the module and what it may never import.
type room struct {
	dir   string // below the module's root; what lies below it belongs to it
	bans  []ban
	reach bool     // also through other packages; the standard library's own imports never count
	allow []string // named exceptions: these packages may be imported, and what they import is not looked at
}

const (
	whyClock  = "a pure room is told the time, and does nothing by itself"
	whyIO     = "a pure room does no I/O: its output is data"
	whyShared = "one goroutine owns a pure room's values: a lock would hide a second one"
	whyLog    = "a pure room says what happened as data, which the shell may log"
	whyWire   = "the wire is the business of pkg/plugin alone"
	whyDB     = "the file format is the business of pkg/statestore alone"
	whySDK    = "a cloud's SDK belongs to its plugin's process"
)

// pure are the bans of every pure room.
var pure = []ban{
	{"context", "a pure room is never cancelled: a step ends by itself"}, {"log", whyLog}, {"os", whyIO}, {"io/ioutil", whyIO}, {"net", whyIO},
	{"syscall", whyIO}, {"sync", whyShared}, {"testing", "tests stay in test files"}, {"runtime", whyClock},
	{"crypto/rand", "randomness is an argument"},
	{"google.golang.org/grpc", whyWire}, {"github.com/hashicorp", whyWire}, {"go.etcd.io", whyDB},
	{"~pkg/provider", "the core knows machines by opaque handles"},
	{"~pkg/statestore", whyDB}, {"~pkg/taskscaler", "the shell calls the core, not the other way"}, {"~pkg/plugin", whyWire},
	{"~pkg/config", "settings are arguments"}, {"~pkg/connector", whyIO}, {"~cmd", "commands are on top"}, {"~plugins", whyIO},
}

var sdks = []ban{{"github.com/aws", whySDK}, {"cloud.google.com", whySDK}, {"google.golang.org/api", whySDK}, {"github.com/Azure", whySDK}}

func with(more ...ban) []ban { return append(slices.Clip(slices.Concat(pure, sdks)), more...) }

func bans(why string, imports ...string) (list []ban) {
	for _, i := range imports {
		list = append(list, ban{i, why})
	}
	return list
}

// rooms is the law.
var rooms = []room{
	{dir: "pkg/policy", reach: true, bans: with(ban{"~internal/fleet", "the calendar does not know what it is applied to"},
		ban{"~internal/scaler", "the judge uses the calendar"}), allow: []string{"github.com/robfig/cron/v3", "time/tzdata"}},
	{dir: "pkg/record", reach: true, bans: with(bans("records are data: whoever decides uses them", "~internal", "~pkg/policy", "~pkg/failure")...)},
	{dir: "pkg/failure", reach: true, bans: with(bans("kinds of failure are data: whoever decides uses them", "~internal", "~pkg/policy", "~pkg/record")...)},
	{dir: "internal/fleet", reach: true, bans: with(ban{"~pkg/policy", "the register does not know why it is changed"},
		ban{"~internal/scaler", "the judge uses the register"})},
	{dir: "internal/scaler", reach: true, bans: pureAndSDKs(), allow: []string{"golang.org/x/time/rate", "github.com/robfig/cron/v3"}},
	{dir: "pkg/cloudmodel", reach: true, bans: with(bans("the cloud does not know who asks", "~internal/scaler", "~pkg/policy")...)},
	{dir: "pkg/provider", reach: true, bans: slices.Concat(sdks, bans(whyWire, "google.golang.org/grpc", "github.com/hashicorp/go-plugin"),
		bans("a contract does not know who uses it", "~internal/scaler", "~internal/fleet", "~pkg/record", "~pkg/taskscaler", "~pkg/config"))},
	{dir: "pkg/plugin", reach: true, bans: slices.Concat(sdks, bans("plugins are built on it, and must not carry the manager along",
		"~internal/scaler", "~internal/fleet", "~pkg/record", "~pkg/taskscaler", "~pkg/config", "~pkg/policy", "~pkg/statestore"))},
	{dir: "pkg/connector", bans: bans("it reaches a machine, and does not know which or why", "~internal/fleet", "~internal/scaler", "~pkg/policy",
		"~pkg/taskscaler", "~pkg/statestore", "~pkg/config")},
	{dir: "pkg/statestore", reach: true, bans: slices.Concat(sdks, bans("it keeps records, whatever they mean", "~internal/scaler", "~internal/fleet", "~pkg/provider",
		"~pkg/policy", "~pkg/taskscaler", "~pkg/config"))},
	{dir: "pkg/taskscaler", bans: slices.Concat(sdks, bans(whyDB, "go.etcd.io/bbolt"),
		bans(whyWire, "google.golang.org/grpc", "github.com/hashicorp/go-plugin"),
		bans("the shell is embedded: settings are arguments", "~pkg/config", "~cmd", "~plugins"))},
	{dir: "pkg/simulate", reach: true, bans: slices.Concat(sdks, bans("a simulation has no machines, no processes and no files of state",
		"~pkg/taskscaler", "~pkg/plugin", "~pkg/connector", "~pkg/statestore", "~plugins"))},
	{dir: "pkg/config", reach: true, bans: slices.Concat(sdks, bans("a file is read without starting anything", "~pkg/taskscaler", "~pkg/plugin",
		"~pkg/connector", "~pkg/statestore", "~cmd"))},
	{dir: "pkg/setup", bans: slices.Concat(sdks, bans("it turns a file into settings, and starts nothing", "~internal", "~pkg/simulate", "~cmd", "~plugins"))},
	{dir: "plugins", bans: bans("a plugin serves any manager", "~internal/scaler", "~internal/fleet", "~pkg/policy", "~pkg/taskscaler",
		"~pkg/statestore", "~pkg/config", "~cmd")},
	{dir: "internal/observe", bans: slices.Concat(sdks, bans("it makes words, and does no I/O", "net", "os", "~pkg/taskscaler", "~pkg/plugin", "~pkg/statestore",
		"~pkg/connector", "~pkg/config", "~internal/control", "~internal/daemon", "~cmd"))},
	{dir: "internal/journal", bans: bans("it is the shell's tool, and needs none of it", "~pkg/taskscaler", "~pkg/statestore", "~pkg/provider", "~pkg/config", "~cmd")},
	{dir: "internal/explain", bans: bans("it explains a replay, not a running manager", "~pkg/taskscaler", "~pkg/statestore", "~pkg/plugin", "~internal/daemon", "~cmd")},
	{dir: "internal/daemon", bans: slices.Concat(bans(whyDB, "go.etcd.io/bbolt"), bans(whyWire, "google.golang.org/grpc", "github.com/hashicorp/go-plugin"),
		bans("commands are on top", "~cmd"), bans("a manager decides by its core alone", "~internal/scaler", "~pkg/simulate"))},
	{dir: "internal/control", bans: bans("it serves leases and status, whatever they mean", "~internal/scaler", "~internal/fleet", "~pkg/policy", "~pkg/config",
		"~pkg/plugin", "~pkg/statestore", "~internal/daemon", "~cmd")},
	{dir: "internal/jobexec", bans: bans("a job knows the manager by its control API", "~pkg/taskscaler", "~internal/scaler", "~internal/fleet", "~internal/daemon",
		"~pkg/config", "~pkg/statestore", "~cmd")},
	{dir: "internal/clock", bans: bans("it reads two clocks and knows nothing else", "~pkg", "~internal", "~cmd")},
	{dir: "internal/words", bans: bans("everyone may use it: it knows nobody", "~pkg", "~internal", "~cmd")},
	{dir: "internal/nearest", bans: bans("everyone may use it: it knows nobody", "~pkg", "~internal", "~cmd")},
	{dir: "internal/test/soak/check", reach: true, bans: bans("a judge shares nothing with the accused", "~pkg", "~internal", "~cmd")},
	{dir: "cmd", bans: slices.Concat(sdks, bans(whyDB, "go.etcd.io/bbolt"), bans(whyWire, "github.com/hashicorp/go-plugin"))},
}

func pureAndSDKs() []ban { return with() }

// nested are the folders that are modules of their own; the rest of the repository is the library.
var nested = []string{"cmd/taskscaler", "pkg/simulate", "internal/test"}

// moduleOf is the folder of the module that the package p belongs to, "" for the root.
func moduleOf(p string) string {
	for _, dir := range nested {
		if within(p, path.Join(module, dir)) {
			return dir
		}
	}
	return ""
}

// checkModules holds the borders of the modules: the library imports none of the others, and nobody imports the workshop.
func (g graph) checkModules(p string) (breaches []string) {
	from := moduleOf(p)
	for _, to := range g[p].Imports {
		if !within(to, module) {
			continue
		}
		switch other := moduleOf(to); {
		case other == from:
		case other == "internal/test":
			breaches = append(breaches, fmt.Sprintf("%s may not import %s: the workshop uses the product, not the other way", short(p), short(to)))
		case from == "" && other != "":
			breaches = append(breaches, fmt.Sprintf("%s may not import %s: it would bring the module %s into every embedder's graph", short(p), short(to), other))
		case from == "pkg/simulate" && other == "cmd/taskscaler":
			breaches = append(breaches, fmt.Sprintf("%s may not import %s: commands are on top", short(p), short(to)))
		}
	}
	return breaches
}

// exclusive are imports that only some rooms may have, in their own files.
var exclusive = []struct {
	imports, why string
	rooms        []string
}{
	{"github.com/hashicorp/go-plugin", whyWire, []string{"pkg/plugin"}},
	{"go.etcd.io/bbolt", whyDB, []string{"pkg/statestore"}},
	{"github.com/aws", whySDK, []string{"plugins/aws", "internal/cloudtest"}},
	{"cloud.google.com", whySDK, []string{"plugins/gcp", "internal/cloudtest"}},
	{"google.golang.org/api", whySDK, []string{"plugins/gcp", "internal/cloudtest"}},
	{"github.com/spf13/cobra", "flags are the business of commands", []string{"cmd"}},
	{"github.com/robfig/cron/v3", "periods are the business of pkg/policy alone", []string{"pkg/policy"}},
}

// node is a package as far as its imports matter.
type node struct {
	ImportPath string
	Standard   bool
	Imports    []string
}

// graph is every package that the module uses, by path.
type graph map[string]*node

// within reports whether a path is root, or below it.
func within(p, root string) bool { return p == root || strings.HasPrefix(p, root+"/") }

func absolute(p string) string {
	if rest, ours := strings.CutPrefix(p, "~"); ours {
		return path.Join(module, rest)
	}
	return p
}

// check returns every breach of the law, in the order of the packages' names.
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

// paths are those of the module's packages.
func (g graph) paths() (own []string) {
	for p := range g {
		if within(p, module) {
			own = append(own, p)
		}
	}
	slices.Sort(own)
	return own
}

// checkRoom follows the imports of one package, breadth first, so that the shortest way to a breach is told.
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

// trail is the way from the room to the package that breaks the law.
func trail(from map[string]string, at string) string {
	steps := []string{short(at)}
	for at = from[at]; at != ""; at = from[at] {
		steps = append(steps, short(at))
	}
	slices.Reverse(steps)
	return strings.Join(steps, " → ")
}

func short(p string) string { return strings.TrimPrefix(p, module+"/") }
