package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// mutantEnv names the fault that is turned on, by its number.
const mutantEnv = "TASKSCALER_MUTANT"

// mutant is one small fault.
type mutant struct {
	ID     int
	Pkg    string // import path
	File   string // absolute
	Line   int
	Column int
	What   string
	Source string // its line
}

func (m *mutant) String() string {
	return fmt.Sprintf("%d %s/%s:%d:%d %s: %s", m.ID, filepath.Base(filepath.Dir(m.File)), filepath.Base(m.File), m.Line, m.Column, m.What, m.Source)
}

// switchSource is added to each package: it reads the number of the fault that is on.
const switchSource = `package %s

import (
	"os"
	"strconv"
)

var mutantOn = func() int { n, _ := strconv.Atoi(os.Getenv(%q)); return n }()

func mutantZero[T any](n int, v T) T {
	if mutantOn == n {
		var zero T
		return zero
	}
	return v
}
`

// weaver puts all faults of a package into copies of its files. Edits only insert text within a line, so line numbers stay true.
type weaver struct {
	pkg     *packages.Package
	next    *int
	mutants []*mutant
	copies  map[string]string // path to text

	src   []byte
	base  int // position of the file's first byte
	file  string
	edits []edit
}

type edit struct {
	at   int
	text string
}

// weave returns the copies of p's files, and the faults in them. next is the number of the next fault.
func weave(p *packages.Package, next *int) (map[string]string, []*mutant, error) {
	w := &weaver{pkg: p, next: next, copies: map[string]string{}}
	for n, f := range p.Syntax {
		path := p.CompiledGoFiles[n]
		src, err := os.ReadFile(path)
		if err != nil {
			return nil, nil, err
		}
		if ast.IsGenerated(f) {
			continue
		}
		w.src, w.file, w.edits, w.base = src, path, nil, p.Fset.File(f.FileStart).Base()
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil && fn.Name.Name != "String" {
				w.block(fn.Body)
			}
		}
		w.copies[path] = w.apply()
	}
	w.copies[filepath.Join(filepath.Dir(p.CompiledGoFiles[0]), "mutant_switch.go")] = fmt.Sprintf(switchSource, p.Name, mutantEnv)
	return w.copies, w.mutants, nil
}

// apply returns the file with all edits. Edits at one place keep the order in which they were made.
func (w *weaver) apply() string {
	slices.SortStableFunc(w.edits, func(a, b edit) int { return a.at - b.at })
	var out strings.Builder
	from := 0
	for _, e := range w.edits {
		out.Write(w.src[from:e.at])
		out.WriteString(e.text)
		from = e.at
	}
	out.Write(w.src[from:])
	return out.String()
}

func (w *weaver) insert(at token.Pos, format string, args ...any) {
	w.edits = append(w.edits, edit{int(at) - w.base, fmt.Sprintf(format, args...)})
}

// add makes a fault at n and returns its number.
func (w *weaver) add(n ast.Node, what string) int {
	*w.next++
	p := w.pkg.Fset.Position(n.Pos())
	line := strings.TrimSpace(strings.Split(string(w.src), "\n")[p.Line-1])
	w.mutants = append(w.mutants, &mutant{*w.next, w.pkg.PkgPath, w.file, p.Line, p.Column, what, line})
	return *w.next
}

func (w *weaver) text(n ast.Node) string {
	t := string(w.src[int(n.Pos())-w.base : int(n.End())-w.base])
	if first, _, more := strings.Cut(t, "\n"); more {
		t = first + " …"
	}
	return t
}

// block weaves the statements of a block or a clause.
func (w *weaver) block(b *ast.BlockStmt) { w.list(b.List) }

func (w *weaver) list(all []ast.Stmt) {
	for _, s := range all {
		if what := leftOut(s); what != "" {
			w.insert(s.Pos(), "if mutantOn != %d { ", w.add(s, what+" left out"))
			w.stmt(s)
			w.insert(s.End(), " }")
			continue
		}
		w.stmt(s)
	}
}

// leftOut says what kind of statement s is, if it can be left out.
func leftOut(s ast.Stmt) string {
	switch s := s.(type) {
	case *ast.ExprStmt:
		if c, ok := s.X.(*ast.CallExpr); ok {
			if id, ok := c.Fun.(*ast.Ident); ok && id.Name == "panic" {
				return ""
			}
		}
		return "call"
	case *ast.AssignStmt:
		if s.Tok == token.DEFINE || allBlank(s.Lhs) {
			return ""
		}
		return "assignment"
	case *ast.IncDecStmt:
		return "assignment"
	case *ast.DeferStmt, *ast.GoStmt, *ast.SendStmt:
		return "statement"
	case *ast.BranchStmt:
		if s.Tok == token.CONTINUE || s.Tok == token.BREAK && s.Label == nil {
			return s.Tok.String()
		}
	case *ast.ReturnStmt:
		if len(s.Results) == 0 {
			return "return"
		}
	}
	return ""
}

func allBlank(all []ast.Expr) bool {
	return !slices.ContainsFunc(all, func(e ast.Expr) bool { id, ok := e.(*ast.Ident); return !ok || id.Name != "_" })
}

// stmt weaves what is inside a statement.
func (w *weaver) stmt(s ast.Stmt) {
	switch s := s.(type) {
	case *ast.BlockStmt:
		w.block(s)
	case *ast.IfStmt:
		w.stmt(s.Init)
		w.condition(s.Cond, true)
		w.block(s.Body)
		w.stmt(s.Else)
	case *ast.ForStmt:
		w.stmt(s.Init)
		if s.Cond != nil {
			w.condition(s.Cond, false)
		}
		w.stmt(s.Post)
		w.block(s.Body)
	case *ast.RangeStmt:
		w.expr(s.X)
		w.block(s.Body)
	case *ast.SwitchStmt:
		w.stmt(s.Init)
		w.expr(s.Tag)
		w.clauses(s.Body, s.Tag == nil)
	case *ast.TypeSwitchStmt:
		w.clauses(s.Body, false)
	case *ast.SelectStmt:
		w.clauses(s.Body, false)
	case *ast.LabeledStmt:
		w.stmt(s.Stmt)
	case *ast.ExprStmt:
		w.expr(s.X)
	case *ast.AssignStmt:
		w.exprs(s.Lhs)
		w.exprs(s.Rhs)
	case *ast.ReturnStmt:
		w.exprs(s.Results)
	case *ast.DeferStmt:
		w.expr(s.Call)
	case *ast.GoStmt:
		w.expr(s.Call)
	case *ast.SendStmt:
		w.expr(s.Value)
	case *ast.DeclStmt:
		if d, ok := s.Decl.(*ast.GenDecl); ok && d.Tok == token.VAR {
			for _, spec := range d.Specs {
				w.exprs(spec.(*ast.ValueSpec).Values)
			}
		}
	}
}

func (w *weaver) clauses(b *ast.BlockStmt, conditions bool) {
	for _, s := range b.List {
		switch s := s.(type) {
		case *ast.CaseClause:
			for _, e := range s.List {
				if conditions {
					w.condition(e, true)
				}
			}
			w.list(s.Body)
		case *ast.CommClause:
			w.list(s.Body)
		}
	}
}

// condition weaves a condition as a whole: it can be always true (unless that would be a loop without end) and always false.
func (w *weaver) condition(e ast.Expr, canBeTrue bool) {
	no := w.add(e, "condition is always false")
	open := fmt.Sprintf("(mutantOn != %d && (", no)
	end := "))"
	if canBeTrue {
		open = fmt.Sprintf("(mutantOn == %d || mutantOn != %d && (", w.add(e, "condition is always true"), no)
	}
	w.insert(e.Pos(), "%s", open)
	w.operands(e)
	w.insert(e.End(), "%s", end)
}

// operands weaves the operands of && and ||, and the boundary of a comparison.
func (w *weaver) operands(e ast.Expr) {
	switch x := e.(type) {
	case *ast.ParenExpr:
		w.operands(x.X)
		return
	case *ast.BinaryExpr:
		switch x.Op {
		case token.LAND, token.LOR:
			w.operand(x.X, x.Op)
			w.operand(x.Y, x.Op)
			return
		case token.LSS, token.GTR, token.LEQ, token.GEQ:
			w.boundary(x)
			return
		}
		w.expr(x.X)
		w.expr(x.Y)
		return
	case *ast.UnaryExpr:
		if x.Op == token.NOT {
			w.operands(x.X)
			return
		}
	}
	w.expr(e)
}

// operand weaves one operand of && or ||: it can be without effect.
func (w *weaver) operand(e ast.Expr, op token.Token) {
	if b, ok := e.(*ast.BinaryExpr); ok && b.Op == op {
		w.operands(e)
		return
	}
	if op == token.LAND {
		w.insert(e.Pos(), "(mutantOn == %d || (", w.add(e, "operand "+w.text(e)+" is always true"))
	} else {
		w.insert(e.Pos(), "(mutantOn != %d && (", w.add(e, "operand "+w.text(e)+" is always false"))
	}
	w.operands(e)
	w.insert(e.End(), "))")
}

// boundary weaves an ordered comparison: what is equal falls on the other side.
func (w *weaver) boundary(x *ast.BinaryExpr) {
	equal := w.text(x.X) + " == " + w.text(x.Y)
	if strings.Contains(equal, "…") || strings.Contains(equal, "func(") || w.constant(x.X) && w.constant(x.Y) {
		w.expr(x.X)
		w.expr(x.Y)
		return
	}
	n := w.add(x, "boundary of "+x.Op.String())
	w.insert(x.Pos(), "(")
	w.expr(x.X)
	w.expr(x.Y)
	if x.Op == token.LSS || x.Op == token.GTR {
		w.insert(x.End(), " || mutantOn == %d && %s)", n, equal)
	} else {
		w.insert(x.End(), " && !(mutantOn == %d && %s))", n, equal)
	}
}

func (w *weaver) constant(e ast.Expr) bool {
	tv, ok := w.pkg.TypesInfo.Types[e]
	return !ok || tv.Value != nil
}

func (w *weaver) exprs(all []ast.Expr) {
	for _, e := range all {
		w.expr(e)
	}
}

// expr weaves conditions, literals and functions inside an expression.
func (w *weaver) expr(e ast.Expr) {
	if e == nil {
		return
	}
	ast.Inspect(e, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			w.block(n.Body)
			return false
		case *ast.CompositeLit:
			w.literal(n)
			return false
		case *ast.BinaryExpr:
			if w.constant(n) {
				return false
			}
			switch n.Op {
			case token.LAND, token.LOR, token.LSS, token.GTR, token.LEQ, token.GEQ, token.EQL, token.NEQ:
				if w.plainBool(n) {
					w.condition(n, true)
					return false
				}
			}
		case *ast.ArrayType, *ast.MapType, *ast.StructType, *ast.InterfaceType, *ast.FuncType:
			return false
		}
		return true
	})
}

func (w *weaver) plainBool(e ast.Expr) bool {
	t := w.pkg.TypesInfo.TypeOf(e)
	return t == types.Typ[types.Bool] || t == types.Typ[types.UntypedBool]
}

// literal weaves the fields of a struct literal: each can stay zero.
func (w *weaver) literal(l *ast.CompositeLit) {
	t := w.pkg.TypesInfo.TypeOf(l)
	if p, ok := t.Underlying().(*types.Pointer); ok {
		t = p.Elem()
	}
	_, isStruct := t.Underlying().(*types.Struct)
	for _, e := range l.Elts {
		kv, ok := e.(*ast.KeyValueExpr)
		switch {
		case !ok:
			w.expr(e)
		case isStruct && w.canBeZero(kv.Value):
			w.insert(kv.Value.Pos(), "mutantZero(%d, ", w.add(kv, "field "+w.text(kv.Key)+" stays zero"))
			w.expr(kv.Value)
			w.insert(kv.Value.End(), ")")
		case isStruct:
			w.expr(kv.Value)
		default:
			w.expr(kv.Key)
			w.expr(kv.Value)
		}
	}
}

// canBeZero: the value has a type of its own, which the field has too.
func (w *weaver) canBeZero(e ast.Expr) bool {
	tv, ok := w.pkg.TypesInfo.Types[e]
	if !ok || tv.IsNil() || tv.Type == nil {
		return false
	}
	if tv.Value != nil {
		return w.namedConstant(e)
	}
	switch e.(type) {
	case *ast.FuncLit, *ast.CompositeLit:
		return false
	}
	basic, ok := tv.Type.(*types.Basic)
	return !ok || basic.Info()&types.IsUntyped == 0
}

// namedConstant: e is a constant of a type that has a name, and not the type's zero.
func (w *weaver) namedConstant(e ast.Expr) bool {
	if s, ok := e.(*ast.SelectorExpr); ok {
		e = s.Sel
	}
	id, ok := e.(*ast.Ident)
	if !ok {
		return false
	}
	c, ok := w.pkg.TypesInfo.Uses[id].(*types.Const)
	if !ok {
		return false
	}
	_, named := c.Type().(*types.Named)
	text := c.Val().ExactString()
	return named && text != "0" && text != "\"\""
}
