package archtest

import (
	"go/ast"
	"slices"
	"strings"
)

// views are the folders whose code prints for people. They format with safetext, which makes values printable.
var views = []string{"cmd/taskscaler", "cmd/taskscaler/internal/simcmd", "internal/explain", "internal/jobexec", "pkg/simulate/report"}

// mainFile is the only file that may name the streams of the process.
const mainFile = "cmd/taskscaler/main.go"

// unsafePrints returns the places in the views that print past safetext: with fmt, or to a stream of the process.
func unsafePrints(list []*source) (found []string) {
	for _, s := range list {
		if s.test || s.name == mainFile || !slices.Contains(views, s.dir()) {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			from, ok := sel.X.(*ast.Ident)
			if !ok {
				return true
			}
			switch name := sel.Sel.Name; {
			case from.Name == "fmt" && (strings.HasPrefix(name, "Fprint") || strings.HasPrefix(name, "Print")):
				found = append(found, s.at(n)+": fmt."+name+" prints values as they are: use safetext.Fprintf, or io.WriteString for text of our own")
			case from.Name == "os" && (name == "Stdout" || name == "Stderr"):
				found = append(found, s.at(n)+": os."+name+" has no safetext.Guard before it: use the streams that the command was given")
			}
			return true
		})
	}
	return found
}
