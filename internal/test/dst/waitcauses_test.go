package dst

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestSimulatedWaitCauses: pkg/simulate counts each wait under its cause, for each cause that the core gives. A cause that its list lacks is
// counted as "none".
func TestSimulatedWaitCauses(t *testing.T) {
	counted := causesOf(simulatedWaits(t))
	if len(counted) == 0 {
		t.Fatal("no causes were found in waitCauses of pkg/simulate/account.go")
	}
	for name := range waitCausesOfCore(t) {
		if !counted[name] {
			t.Errorf("the core gives %s to a wait: add it to waitCauses in pkg/simulate/account.go", name)
		}
	}
	names := causeNames(t)
	for _, c := range waitCauses {
		if !counted[names[c]] {
			t.Errorf("a wait has the cause %s in the coverage: add it to waitCauses in pkg/simulate/account.go", names[c])
		}
	}
}

// waitCausesOfCore are the causes in the functions of internal/scaler that say why a waiter waits, or why nothing is created. closedCause is
// not among them: while no new work is taken, nothing waits.
func waitCausesOfCore(t *testing.T) map[string]bool {
	t.Helper()
	sources := []string{"waitCause", "boundCause", "blockedBy", "paceOf"} // paceOf is for refused, which calls startBackoff
	holders := []string{"refused", "failedBoot"}
	all := map[string]bool{}
	seen := map[string]bool{}
	for _, f := range parsed(t, "../../../internal/scaler") {
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			name := fn.Name.Name
			holds := calls(fn, "startBackoff")
			if holds && !slices.Contains(holders, name) {
				t.Errorf("%s calls startBackoff: add it to holders in this test", name)
			}
			if holds || slices.Contains(sources, name) {
				seen[name] = true
				maps.Copy(all, causesOf(fn))
			}
		}
	}
	for _, name := range slices.Concat(sources, holders) {
		if !seen[name] {
			t.Errorf("internal/scaler has no function %s that names such a cause or calls startBackoff: correct this test", name)
		}
	}
	return all
}

// simulatedWaits is the declaration of waitCauses in pkg/simulate, or nil.
func simulatedWaits(t *testing.T) (found ast.Node) {
	t.Helper()
	for _, f := range parsed(t, "../../../pkg/simulate") {
		ast.Inspect(f, func(n ast.Node) bool {
			if v, ok := n.(*ast.ValueSpec); ok && v.Names[0].Name == "waitCauses" {
				found = v
			}
			return found == nil
		})
	}
	if found == nil {
		t.Fatal("pkg/simulate has no waitCauses")
	}
	return found
}

// parsed are the sources of a package, without its tests.
func parsed(t *testing.T, dir string) (files []*ast.File) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no sources in %s: %v", dir, err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// causesOf are the names of the constants of pkg/record's Cause below n.
func causesOf(n ast.Node) map[string]bool {
	found := map[string]bool{}
	ast.Inspect(n, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && strings.HasPrefix(s.Sel.Name, "Cause") {
			if x, ok := s.X.(*ast.Ident); ok && x.Name == "record" {
				found[s.Sel.Name] = true
			}
		}
		return true
	})
	return found
}

// calls reports whether fn calls a function or method with this name.
func calls(fn *ast.FuncDecl, name string) (found bool) {
	ast.Inspect(fn, func(n ast.Node) bool {
		if c, ok := n.(*ast.CallExpr); ok {
			if s, ok := c.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == name {
				found = true
			}
		}
		return !found
	})
	return found
}
