package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// source is one Go file of the module. It is parsed but not type-checked: checks of sizes, comments and names do not need the other files
// to compile.
type source struct {
	name      string // relative to the root, with slashes
	lines     int
	test      bool
	generated bool
	file      *ast.File
	fset      *token.FileSet
}

// dir is the directory, relative to the root.
func (s *source) dir() string { return filepath.ToSlash(filepath.Dir(s.name)) }

func (s *source) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", s.name, s.fset.Position(n.Pos()).Line)
}

func (s *source) linesOf(n ast.Node) int {
	return s.fset.Position(n.End()).Line - s.fset.Position(n.Pos()).Line + 1
}

// sources reads every Go file below root, except test data.
func sources(root string) (list []*source, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != root && (name == "testdata" || name == "vendor" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		s, err := readSource(root, path)
		if err != nil {
			return err
		}
		list = append(list, s)
		return nil
	})
	return list, err
}

func readSource(root, path string) (*source, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	name, err := filepath.Rel(root, path)
	if err != nil {
		return nil, err
	}
	s := &source{name: filepath.ToSlash(name), test: strings.HasSuffix(path, "_test.go"), fset: token.NewFileSet()}
	s.lines = bytes.Count(text, []byte{'\n'})
	s.file, err = parser.ParseFile(s.fset, path, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parse: %w", err)
	}
	s.generated = ast.IsGenerated(s.file)
	return s, nil
}

// undocumented lists the exported names without a comment. In a group of constants or variables, the comment of the group is enough.
func (s *source) undocumented() (missing []string) {
	for _, decl := range s.file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) {
				missing = append(missing, fmt.Sprintf("%s: %s has no comment", s.at(d), d.Name.Name))
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				for _, id := range undocumentedSpec(d, spec) {
					missing = append(missing, fmt.Sprintf("%s: %s has no comment", s.at(id), id.Name))
				}
			}
		}
	}
	return missing
}

func undocumentedSpec(d *ast.GenDecl, spec ast.Spec) (missing []*ast.Ident) {
	switch sp := spec.(type) {
	case *ast.TypeSpec:
		if sp.Name.IsExported() && sp.Doc == nil && sp.Comment == nil && d.Doc == nil {
			missing = append(missing, sp.Name)
		}
	case *ast.ValueSpec:
		if sp.Doc == nil && sp.Comment == nil && d.Doc == nil {
			for _, id := range sp.Names {
				if id.IsExported() {
					missing = append(missing, id)
				}
			}
		}
	}
	return missing
}

func exportedReceiver(d *ast.FuncDecl) bool {
	name := receiver(d)
	return name == "" || ast.IsExported(name)
}

// receiver is the name of a method's type, or empty.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return ""
	}
	t := d.Recv.List[0].Type
	for {
		switch e := t.(type) {
		case *ast.StarExpr:
			t = e.X
		case *ast.IndexExpr:
			t = e.X
		case *ast.IndexListExpr:
			t = e.X
		case *ast.Ident:
			return e.Name
		default:
			return ""
		}
	}
}

// names are the names that a file declares: Name, Type.Method and Type.Field.
func (s *source) names() (list []string) {
	for _, decl := range s.file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			list = append(list, strings.TrimPrefix(receiver(d)+"."+d.Name.Name, "."))
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				list = append(list, namesOf(spec)...)
			}
		}
	}
	return list
}

func namesOf(spec ast.Spec) (list []string) {
	switch sp := spec.(type) {
	case *ast.ValueSpec:
		for _, id := range sp.Names {
			list = append(list, id.Name)
		}
	case *ast.TypeSpec:
		list = append(list, sp.Name.Name)
		var members *ast.FieldList
		switch t := sp.Type.(type) {
		case *ast.StructType:
			members = t.Fields
		case *ast.InterfaceType:
			members = t.Methods
		default:
			return list
		}
		for _, f := range members.List {
			for _, id := range f.Names {
				list = append(list, sp.Name.Name+"."+id.Name)
			}
			if len(f.Names) == 0 {
				if id := embedded(f.Type); id != "" {
					list = append(list, sp.Name.Name+"."+id)
				}
			}
		}
	}
	return list
}

func embedded(t ast.Expr) string {
	switch e := t.(type) {
	case *ast.StarExpr:
		return embedded(e.X)
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// quantile is the value that the share q of the values does not exceed.
func quantile(values []int, q float64) int {
	if len(values) == 0 {
		return 0
	}
	values = slices.Sorted(slices.Values(values))
	return values[min(len(values)-1, int(q*float64(len(values))))]
}
