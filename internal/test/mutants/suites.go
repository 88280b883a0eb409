package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// whole are the functions that start a whole system, by package: a random world around the core, or a manager in the shell. A test that
// calls one of them, directly or through another test function of its package, belongs to the simulation or to the shell's suites. All
// other tests are unit tests.
var whole = map[string][]string{
	"pkg/policy":      nil,
	"internal/fleet":  nil,
	"internal/scaler": {"newWorld", "runWorld", "chaos"},
	"pkg/taskscaler":  {"New", "start"},
}

// tests are the test functions of a package, by kind.
type tests struct {
	unit, suite []string
	inBubble    map[string]bool // tests of the suite that run on virtual time
}

// testsOf reads the tests of one of our packages.
func testsOf(root, pkg string) (*tests, error) {
	t := &tests{inBubble: map[string]bool{}}
	calls, err := callsOf(filepath.Join(root, pkg))
	if err != nil {
		return nil, err
	}
	reach := func(name string, ends []string) bool {
		seen := map[string]bool{}
		var visit func(string) bool
		visit = func(f string) bool {
			if seen[f] {
				return false
			}
			seen[f] = true
			return slices.ContainsFunc(calls[f], func(g string) bool { return slices.Contains(ends, g) || visit(g) })
		}
		return visit(name)
	}
	for name := range calls {
		switch {
		case !strings.HasPrefix(name, "Test") || name == "TestMain":
		case reach(name, whole[pkg]):
			t.suite = append(t.suite, name)
			t.inBubble[name] = reach(name, []string{"bubble"})
		default:
			t.unit = append(t.unit, name)
		}
	}
	slices.Sort(t.unit)
	slices.Sort(t.suite)
	if len(t.unit) == 0 {
		return nil, fmt.Errorf("no unit tests in %s", pkg)
	}
	return t, nil
}

// callsOf maps each function of the package's tests to the names that it mentions: calls, and functions that it passes on.
func callsOf(dir string) (map[string][]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	calls := map[string][]string{}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, e.Name()), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(f.Name.Name, "_test") {
			continue // examples
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv != nil || fn.Body == nil {
				continue
			}
			calls[fn.Name.Name] = namesIn(fn.Body)
		}
	}
	return calls, nil
}

// namesIn are the plain identifiers below n that can be functions: not after a dot, not a field.
func namesIn(n ast.Node) (names []string) {
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			names = append(names, namesIn(n.X)...)
			return false
		case *ast.KeyValueExpr:
			names = append(names, namesIn(n.Value)...)
			return false
		case *ast.Ident:
			names = append(names, n.Name)
		}
		return true
	})
	return names
}

// pattern is a -run or -skip argument that matches exactly these tests.
func pattern(names []string) string { return "^(" + strings.Join(names, "|") + ")$" }
