package archtest

import (
	"cmp"
	"fmt"
	"go/ast"
	"io"
	"path"
	"slices"
	"strings"
	"text/tabwriter"
)

// The budgets. Only the first one is a limit. The others are printed next to the actual values.
const (
	maxFileLines    = 600
	aimFileMedian   = 150
	aimFileP90      = 400
	aimFunctionP90  = 40
	maxFunction     = 80
	aimMethods      = 5
	aimTestRatio    = 0.8
	aimPureRatio    = 1.5
	longestToReport = 10
)

// budget holds the sizes of the module's code.
type budget struct {
	files     []int
	functions []int
	long      []measured // functions over maxFunction
	wide      []measured // interfaces with more than aimMethods
	tooLong   []string   // files over maxFileLines
	rooms     map[string]*roomLines
}

type measured struct {
	what string
	n    int
}

type roomLines struct{ code, test int }

// measure computes the sizes. It ignores generated files.
func measure(list []*source) *budget {
	b := &budget{rooms: make(map[string]*roomLines)}
	for _, s := range list {
		if s.generated {
			continue
		}
		if s.lines > maxFileLines {
			b.tooLong = append(b.tooLong, fmt.Sprintf("%s has %d lines: the limit is %d", s.name, s.lines, maxFileLines))
		}
		room := roomOf(s.dir())
		if b.rooms[room] == nil {
			b.rooms[room] = new(roomLines)
		}
		if s.test {
			b.rooms[room].test += s.lines
			continue
		}
		b.files = append(b.files, s.lines)
		if isTestKit(s.dir()) {
			b.rooms[room].test += s.lines
		} else {
			b.rooms[room].code += s.lines
		}
		b.measureDecls(s)
	}
	byLength := func(x, y measured) int { return cmp.Or(cmp.Compare(y.n, x.n), cmp.Compare(x.what, y.what)) }
	slices.SortFunc(b.long, byLength)
	slices.SortFunc(b.wide, byLength)
	return b
}

func (b *budget) measureDecls(s *source) {
	for _, decl := range s.file.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok {
			n := s.linesOf(fn)
			b.functions = append(b.functions, n)
			if n > maxFunction {
				b.long = append(b.long, measured{s.at(fn) + " " + fn.Name.Name, n})
			}
		}
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok {
			if face, ok := spec.Type.(*ast.InterfaceType); ok && len(face.Methods.List) > aimMethods {
				b.wide = append(b.wide, measured{s.at(spec) + " " + spec.Name.Name, len(face.Methods.List)})
			}
		}
		return true
	})
}

// roomOf is the first two elements of a directory.
func roomOf(dir string) string {
	parts := strings.SplitN(dir, "/", 3)
	return path.Join(parts[:min(2, len(parts))]...)
}

// isTestKit reports whether a package is a suite for tests, such as providertest or storetest.
func isTestKit(dir string) bool { return strings.HasSuffix(path.Base(dir), "test") }

// print writes the report.
func (b *budget) print(w io.Writer) error {
	fmt.Fprintf(w, "files:      median %d (aim %d), p90 %d (aim %d), longest %d (limit %d)\n", quantile(b.files, 0.5), aimFileMedian,
		quantile(b.files, 0.9), aimFileP90, quantile(b.files, 1), maxFileLines)
	fmt.Fprintf(w, "functions:  median %d, p90 %d (aim %d), longest %d\n", quantile(b.functions, 0.5), quantile(b.functions, 0.9), aimFunctionP90,
		quantile(b.functions, 1))
	for _, list := range [][]measured{b.long, b.wide} {
		for i, m := range list {
			if i == longestToReport {
				fmt.Fprintf(w, "  … and %d more\n", len(list)-i)
				break
			}
			fmt.Fprintf(w, "  %4d  %s\n", m.n, m.what)
		}
	}
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tab, "room\tcode\ttest\ttest/code\taim\t")
	var total roomLines
	for _, name := range sortedRooms(b.rooms) {
		r := b.rooms[name]
		total.code, total.test = total.code+r.code, total.test+r.test
		aim := aimTestRatio
		if slices.Contains(pureRooms, name) {
			aim = aimPureRatio
		}
		fmt.Fprintf(tab, "%s\t%d\t%d\t%.2f\t%.1f\t\n", name, r.code, r.test, ratio(*r), aim)
	}
	fmt.Fprintf(tab, "all\t%d\t%d\t%.2f\t%.1f\t\n", total.code, total.test, ratio(total), aimTestRatio)
	return tab.Flush()
}

func sortedRooms(m map[string]*roomLines) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func ratio(r roomLines) float64 { return float64(r.test) / float64(max(r.code, 1)) }
