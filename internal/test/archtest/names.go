package archtest

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
)

// mention matches a reference in a document such as `internal/fleet.Register.Check` or `fleet.Register.Check()`: an exported name of a
// package.
var mention = regexp.MustCompile("`(?:\\*|&)?([a-z][a-z0-9_]*(?:/[a-z0-9_.-]+)*)\\.([A-Z]\\w*(?:\\.[A-Z]\\w*)?)(?:\\([^`]*\\))?`")

// declared are the names of the module's packages, by directory.
type declared map[string]map[string]bool

func declarations(list []*source) declared {
	d := make(declared)
	for _, s := range list {
		if strings.HasSuffix(s.file.Name.Name, "_test") {
			continue
		}
		if d[s.dir()] == nil {
			d[s.dir()] = make(map[string]bool)
		}
		for _, name := range s.names() {
			d[s.dir()][name] = true
		}
	}
	return d
}

// unknown lists the names in a document that no package of the module has. foreign are other packages that a document may mention; their
// names are not checked.
func (d declared) unknown(document string, foreign map[string]bool) (missing []string) {
	for i, line := range strings.Split(document, "\n") {
		for _, m := range mention.FindAllStringSubmatch(line, -1) {
			if why := d.lookUp(m[1], m[2], foreign); why != "" {
				missing = append(missing, fmt.Sprintf("line %d: %s: %s", i+1, m[0], why))
			}
		}
	}
	return missing
}

func (d declared) lookUp(pkg, name string, foreign map[string]bool) string {
	known := false
	for dir, names := range d {
		if dir == pkg || !strings.Contains(pkg, "/") && path.Base(dir) == pkg || strings.Contains(pkg, "/") && strings.HasSuffix(dir, "/"+pkg) {
			if names[name] {
				return ""
			}
			known = true
		}
	}
	switch {
	case known:
		return "the package has no such name"
	case foreign[pkg], foreign[path.Base(pkg)] && !strings.Contains(pkg, "/"):
		return ""
	}
	return "there is no such package"
}

// claim matches a test that a document names, such as `TestPlaces` or `statestore.TestPlaces`.
var claim = regexp.MustCompile("`(?:([a-z]\\w*)\\.)?((?:Test|Fuzz|Benchmark)[A-Z]\\w*)`")

// absentTests lists the tests that a document names and that do not exist, in the package that it names if it names one.
func absentTests(document string, list []*source) (absent []string) {
	packages := make(map[string][]string) // the last part of the package's directory, by test
	for _, s := range list {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && s.test {
				packages[f.Name.Name] = append(packages[f.Name.Name], path.Base(s.dir()))
			}
		}
	}
	for i, line := range strings.Split(document, "\n") {
		for _, m := range claim.FindAllStringSubmatch(line, -1) {
			if in := packages[m[2]]; len(in) == 0 || m[1] != "" && !slices.Contains(in, m[1]) {
				absent = append(absent, fmt.Sprintf("line %d: %s: there is no such test", i+1, m[0]))
			}
		}
	}
	return absent
}
