package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// finding is something that a pure room may not contain.
type finding struct {
	pos  token.Position
	rule string
	text string
}

func (f finding) String() string { return fmt.Sprintf("%s: %s: %s", f.pos, f.rule, f.text) }

// timeBans read the clock or wait for it.
var timeBans = []string{"Now", "Since", "Until", "Sleep", "After", "Tick", "NewTimer", "NewTicker", "AfterFunc"}

// rateAllowed are the names that do not read the clock: the caller passes the time.
var rateAllowed = []string{"NewLimiter", "Every", "Inf", "InfDuration", "Limit", "Limiter", "Reservation", "Burst", "AllowN", "ReserveN", "TokensAt",
	"SetLimitAt", "SetBurstAt", "OK", "DelayFrom", "CancelAt"}

// cronAllowed are the parser and its results.
var cronAllowed = []string{"NewParser", "Parser", "ParseStandard", "Parse", "ParseOption", "Schedule", "SpecSchedule", "Next", "Second",
	"SecondOptional", "Minute", "Hour", "Dom", "Month", "Dow", "DowOptional", "Descriptor", "Location"}

const unorderedMark = "//archtest:unordered"

// walker checks one package.
type walker struct {
	pkg      *packages.Package
	marks    map[string]map[int]int // by file and line: the column of a reason for an unordered loop
	sorted   map[ast.Node]bool      // calls whose result is sorted at once
	findings []finding
}

// walk returns what a pure package must not contain. Each rule reports a line once.
func walk(pkg *packages.Package) []finding {
	w := &walker{pkg: pkg, marks: make(map[string]map[int]int), sorted: make(map[ast.Node]bool)}
	for _, file := range pkg.Syntax {
		w.readMarks(file)
		ast.Inspect(file, w.visit)
	}
	slices.SortFunc(w.findings, func(a, b finding) int { return strings.Compare(a.String(), b.String()) })
	return slices.CompactFunc(w.findings, func(a, b finding) bool {
		return a.pos.Filename == b.pos.Filename && a.pos.Line == b.pos.Line && a.rule == b.rule
	})
}

func (w *walker) add(n ast.Node, rule, format string, args ...any) {
	w.findings = append(w.findings, finding{w.pkg.Fset.Position(n.Pos()), rule, fmt.Sprintf(format, args...)})
}

// readMarks collects the comments that allow an unordered loop. A comment without a reason allows nothing.
func (w *walker) readMarks(file *ast.File) {
	for _, group := range file.Comments {
		for _, c := range group.List {
			reason, marked := strings.CutPrefix(c.Text, unorderedMark)
			if !marked {
				continue
			}
			if strings.TrimSpace(reason) == "" {
				w.add(c, "map order", "%s without a reason", unorderedMark)
				continue
			}
			at := w.pkg.Fset.Position(c.Pos())
			if w.marks[at.Filename] == nil {
				w.marks[at.Filename] = make(map[int]int)
			}
			w.marks[at.Filename][at.Line] = at.Column
		}
	}
}

// excused reports whether there is a reason on the line of n, or on the line above; there it must be a comment on its own line.
func (w *walker) excused(n ast.Node) bool {
	at := w.pkg.Fset.Position(n.Pos())
	above, here := w.marks[at.Filename][at.Line-1], w.marks[at.Filename][at.Line]
	return here > 0 || above > 0 && above <= at.Column
}

func (w *walker) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GoStmt:
		w.add(n, "goroutine", "a second goroutine makes the order of events random")
	case *ast.SelectStmt:
		w.add(n, "channel", "select chooses at random")
	case *ast.SendStmt, *ast.ChanType:
		w.add(n, "channel", "a pure room communicates with no other goroutine")
	case *ast.RangeStmt:
		w.rangeOver(n)
	case *ast.CallExpr:
		w.call(n)
	case *ast.Ident:
		w.ident(n)
	}
	if e, ok := n.(ast.Expr); ok {
		w.expression(e)
	}
	return true
}

// expression finds channels whose type is declared elsewhere.
func (w *walker) expression(e ast.Expr) {
	if t := w.pkg.TypesInfo.TypeOf(e); t != nil && holds[*types.Chan](t) {
		w.add(e, "channel", "a pure room communicates with no other goroutine")
	}
}

// holds reports whether a type, or a type that a type parameter can stand for, is of a kind.
func holds[K types.Type](t types.Type) bool {
	if param, ok := types.Unalias(t).(*types.TypeParam); ok {
		t = param.Constraint()
		constraint, ok := t.Underlying().(*types.Interface)
		if !ok {
			return false
		}
		for i := range constraint.NumEmbeddeds() {
			union, ok := constraint.EmbeddedType(i).(*types.Union)
			if !ok {
				if holds[K](constraint.EmbeddedType(i)) {
					return true
				}
				continue
			}
			for k := range union.Len() {
				if holds[K](union.Term(k).Type()) {
					return true
				}
			}
		}
		return false
	}
	_, ok := t.Underlying().(K)
	return ok
}

func (w *walker) rangeOver(n *ast.RangeStmt) {
	if t := w.pkg.TypesInfo.TypeOf(n.X); t != nil && holds[*types.Map](t) && !w.excused(n) {
		w.add(n, "map order", "range over a map has another order each time: sort its keys, or write %s and why above it", unorderedMark)
	}
}

// call finds iterators over maps whose result is not sorted at once.
func (w *walker) call(n *ast.CallExpr) {
	fn := w.callee(n)
	switch {
	case fn == nil || fn.Pkg() == nil:
	case fn.Pkg().Path() == "slices" && strings.HasPrefix(fn.Name(), "Sorted") && len(n.Args) > 0:
		w.sorted[ast.Unparen(n.Args[0])] = true
	case fn.Pkg().Path() == "maps" && slices.Contains([]string{"Keys", "Values", "All"}, fn.Name()) && !w.sorted[n] && !w.excused(n):
		w.add(n, "map order", "maps.%s has another order each time: give it to slices.Sorted, or write %s and why above it", fn.Name(), unorderedMark)
	}
}

func (w *walker) callee(n *ast.CallExpr) *types.Func {
	fun := ast.Unparen(n.Fun)
	switch f := fun.(type) {
	case *ast.IndexExpr:
		fun = f.X
	case *ast.IndexListExpr:
		fun = f.X
	}
	var id *ast.Ident
	switch f := fun.(type) {
	case *ast.Ident:
		id = f
	case *ast.SelectorExpr:
		id = f.Sel
	}
	if id == nil {
		return nil
	}
	fn, _ := w.pkg.TypesInfo.Uses[id].(*types.Func)
	return fn
}

// ident checks every use of a name of another package: a call, an assignment, or a dot import.
func (w *walker) ident(n *ast.Ident) {
	obj := w.pkg.TypesInfo.Uses[n]
	if obj == nil || obj.Pkg() == nil || obj.Pkg() == w.pkg.Types {
		return
	}
	if _, isImport := obj.(*types.PkgName); isImport {
		return
	}
	name, isMethod := obj.Name(), isMethod(obj)
	switch p := obj.Pkg().Path(); {
	case p == "time" && !isMethod && slices.Contains(timeBans, name):
		w.add(n, "clock", "time.%s: the time is an argument", name)
	case (p == "math/rand" || p == "math/rand/v2") && isFunc(obj) && !isMethod && !strings.HasPrefix(name, "New"):
		w.add(n, "global randomness", "%s.%s: the source of randomness is an argument", p, name)
	case within(p, "sync") || p == "internal/sync":
		w.add(n, "lock", "%s.%s: %s", p, name, whyShared)
	case p == "context":
		w.add(n, "context", "context.%s: a step ends by itself", name)
	case within(p, "log"):
		w.add(n, "log", "%s.%s: %s", p, name, whyLog)
	case p == "golang.org/x/time/rate" && !isField(obj) && !slices.Contains(rateAllowed, name):
		w.add(n, "clock", "rate.%s reads the clock: use the form that takes the time", name)
	case p == "github.com/robfig/cron/v3" && !isField(obj) && !slices.Contains(cronAllowed, name):
		w.add(n, "cron", "cron.%s: only the parser may be used", name)
	}
}

func isFunc(obj types.Object) bool {
	_, ok := obj.(*types.Func)
	return ok
}

func isField(obj types.Object) bool {
	v, ok := obj.(*types.Var)
	return ok && v.IsField()
}

func isMethod(obj types.Object) bool {
	fn, ok := obj.(*types.Func)
	return ok && fn.Signature().Recv() != nil
}
