package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

const root = "../../.."

// modules are the patterns of the repository's modules, from its root.
var modules = []string{"./...", "./pkg/simulate/...", "./cmd/taskscaler/...", "./plugins/aws/...", "./plugins/gcp/...", "./examples/docker-autoscaler-executor/...", "./examples/plugin/...", "./internal/test/..."}

// loadGraph asks the go command for what the module's packages import, tests aside.
func loadGraph(t *testing.T) graph {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-e", "-deps", "-json=ImportPath,Standard,Imports"}, modules...)...)
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	g := make(graph)
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		n := new(node)
		if err := dec.Decode(n); errors.Is(err, io.EOF) {
			return g
		} else if err != nil {
			t.Fatal(err)
		}
		g[n.ImportPath] = n
	}
}

// load type-checks packages. Below a pattern with ... there may be none yet.
func load(t *testing.T, patterns ...string) (list []*packages.Package) {
	t.Helper()
	return loadAs(t, packages.LoadSyntax|packages.NeedDeps, patterns...)
}

// loadAs is load with a mode. Without NeedDeps it is much faster: what the packages import is read from what the compiler wrote.
func loadAs(t *testing.T, mode packages.LoadMode, patterns ...string) (list []*packages.Package) {
	t.Helper()
	loaded, err := packages.Load(&packages.Config{Mode: mode}, patterns...)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range loaded {
		for _, e := range p.Errors {
			t.Errorf("%s: %v", p.PkgPath, e)
		}
		if len(p.Errors) == 0 && len(p.Syntax) > 0 {
			list = append(list, p)
		}
	}
	return list
}

func TestImports(t *testing.T) {
	g := loadGraph(t)
	if len(g.paths()) < 3 {
		t.Fatalf("only %v were found", g.paths())
	}
	for _, breach := range g.check() {
		t.Error(breach)
	}
}

// TestPureRooms reads the pure rooms. One that does not exist yet is none.
func TestPureRooms(t *testing.T) {
	var patterns []string
	for _, room := range pureRooms {
		if files, _ := filepath.Glob(filepath.Join(root, room, "*.go")); len(files) > 0 {
			patterns = append(patterns, module+"/"+room+"/...")
		} else {
			t.Logf("%s does not exist yet", room)
		}
	}
	if len(patterns) == 0 {
		t.Fatal("there is no pure room")
	}
	for _, pkg := range load(t, patterns...) {
		for _, f := range walk(pkg) {
			t.Error(f)
		}
		for _, leak := range leaks(pkg) {
			t.Error(leak)
		}
	}
}

// TestJournalHoldsNoSecrets reads the types of the journal, which writes what the pure rooms are told to disk.
func TestJournalHoldsNoSecrets(t *testing.T) {
	for _, pkg := range load(t, "../../journal") {
		for _, leak := range leaks(pkg) {
			t.Error(leak)
		}
	}
}

var want = regexp.MustCompile(`// want (("[a-z ]+" ?)+)`)

// TestWalkRejects gives the walk one package for each rule. Every line that says so must be found, and no other.
func TestWalkRejects(t *testing.T) {
	dirs, err := filepath.Glob("testdata/bad/*")
	if err != nil || len(dirs) < 9 {
		t.Fatalf("%v, %v", dirs, err)
	}
	patterns := []string{"./testdata/good"}
	for _, d := range dirs {
		patterns = append(patterns, "./"+filepath.ToSlash(d))
	}
	seen := 0
	for _, pkg := range load(t, patterns...) {
		seen++
		t.Run(pkg.Name, func(t *testing.T) {
			expected := expectations(t, pkg)
			if len(expected) == 0 && pkg.Name != "good" {
				t.Error("it expects nothing")
			}
			found := make(map[string]bool)
			for _, f := range walk(pkg) {
				found[fmt.Sprintf("%d %s", f.pos.Line, f.rule)] = true
			}
			for _, leak := range leaks(pkg) {
				line := strings.SplitN(leak[strings.Index(leak, ".go:"):], ":", 3)[1]
				found[line+" secret"] = true
			}
			for e := range expected {
				if !found[e] {
					t.Errorf("line %s was not found", e)
				}
			}
			for f := range found {
				if !expected[f] {
					t.Errorf("line %s was found without reason", f)
				}
			}
		})
	}
	if seen != len(patterns) {
		t.Errorf("%d of %d packages were read", seen, len(patterns))
	}
}

func expectations(t *testing.T, pkg *packages.Package) map[string]bool {
	t.Helper()
	expected := make(map[string]bool)
	for _, name := range pkg.GoFiles {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			if strings.TrimSpace(line) == unorderedMark {
				expected[fmt.Sprintf("%d map order", i+1)] = true
			}
			if m := want.FindStringSubmatch(line); m != nil {
				for _, rule := range strings.Split(strings.Trim(strings.TrimSpace(m[1]), `"`), `" "`) {
					expected[fmt.Sprintf("%d %s", i+1, rule)] = true
				}
			}
		}
	}
	return expected
}

// TestLawRejects breaks each sort of rule in a made-up module.
func TestLawRejects(t *testing.T) {
	at := func(p string) string { return module + "/" + p }
	std := func(names ...string) graph {
		g := make(graph)
		for _, n := range names {
			g[n] = &node{ImportPath: n, Standard: true, Imports: []string{"sync", "os"}}
		}
		return g
	}
	cases := []struct {
		name  string
		edges map[string][]string
		want  string // empty: lawful
	}{
		{"the standard library's own imports do not count", map[string][]string{at("internal/fleet"): {"fmt"}}, ""},
		{"log in a pure room", map[string][]string{at("internal/fleet"): {"log/slog"}}, "internal/fleet may not import log/slog: " + whyLog},
		{"below a pure room", map[string][]string{at("internal/scaler/heap"): {"context"}}, "internal/scaler/heap may not import context"},
		{"through a library", map[string][]string{at("pkg/policy"): {"example.org/x"}, "example.org/x": {"example.org/y"}, "example.org/y": {"net/http"}},
			"pkg/policy → example.org/x → example.org/y may not import net/http: " + whyIO},
		{"the named exception", map[string][]string{at("internal/scaler"): {"golang.org/x/time/rate"}, "golang.org/x/time/rate": {"sync", "context"}}, ""},
		{"the exception is of one room", map[string][]string{at("internal/fleet"): {"golang.org/x/time/rate"}, "golang.org/x/time/rate": {"sync"}},
			"may not import sync"},
		{"policy and fleet", map[string][]string{at("pkg/policy"): {at("internal/fleet")}, at("internal/fleet"): nil}, "pkg/policy may not import internal/fleet"},
		{"fleet and policy", map[string][]string{at("internal/fleet"): {at("pkg/policy")}, at("pkg/policy"): nil}, "internal/fleet may not import pkg/policy"},
		{"bbolt elsewhere", map[string][]string{at("internal/cache"): {"go.etcd.io/bbolt"}}, "(only pkg/statestore"},
		{"bbolt in its room", map[string][]string{at("pkg/statestore"): {"go.etcd.io/bbolt"}, "go.etcd.io/bbolt": {"sync"}}, ""},
		{"go-plugin elsewhere", map[string][]string{at("plugins/fake"): {"github.com/hashicorp/go-plugin"}}, "(only pkg/plugin"},
		{"an SDK in the shell", map[string][]string{at("pkg/taskscaler"): {"github.com/aws/aws-sdk-go-v2/service/ec2"}}, whySDK},
		{"an SDK in its plugin", map[string][]string{at("plugins/aws"): {"github.com/aws/aws-sdk-go-v2/service/ec2"}}, ""},
		{"a store through the shell", map[string][]string{at("pkg/simulate"): {at("pkg/taskscaler/x")}}, "pkg/simulate may not import pkg/taskscaler/x"},
		{"the workshop in the product", map[string][]string{at("internal/daemon"): {at("internal/test/stage")}}, "the product must not use the workshop"},
		{"the workshop in itself", map[string][]string{at("internal/test/soak"): {at("internal/test/stage")}}, ""},
		{"the planner in the library", map[string][]string{at("pkg/setup"): {at("pkg/simulate/model")}}, "every embedder then depends on"},
		{"the planner in the command", map[string][]string{at("cmd/taskscaler"): {at("pkg/simulate/model")}}, ""},
		{"the command in the planner", map[string][]string{at("pkg/simulate"): {at("cmd/taskscaler/internal/simcmd")}}, "nothing imports a command"},
		{"an internal package in an example", map[string][]string{at("examples/runner"): {at("internal/safetext")}}, "public packages only"},
		{"a name that only begins alike", map[string][]string{at("internal/fleet"): {"logic.example/log", "oss"}}, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			g := std("fmt", "sync", "context", "net/http", "log/slog")
			for p, imports := range c.edges {
				g[p] = &node{ImportPath: p, Imports: imports}
			}
			got := g.check()
			if c.want == "" && len(got) > 0 {
				t.Errorf("lawful, and yet: %v", got)
			}
			if c.want != "" && !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, c.want) }) {
				t.Errorf("%v does not say %q", got, c.want)
			}
		})
	}
}

// TestEveryBanHasAReason keeps the table legible.
func TestEveryBanHasAReason(t *testing.T) {
	for _, r := range rooms {
		for _, b := range r.bans {
			if len(b.why) < 10 || b.imports == "" {
				t.Errorf("%s: %+v", r.dir, b)
			}
		}
	}
}
