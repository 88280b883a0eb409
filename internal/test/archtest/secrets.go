package archtest

import (
	"fmt"
	"go/types"
	"path"
	"slices"
	"sort"

	"golang.org/x/tools/go/packages"
)

// secretTypes contain what gives access to a machine. They may exist in the shell, in the store's own bucket, and on the wire.
var secretTypes = []string{
	path.Join(module, "pkg/provider") + ".ConnectInfo",
	path.Join(module, "pkg/provider") + ".ConnectorConfig",
	path.Join(module, "pkg/provider") + ".Settings",
	path.Join(module, "pkg/secret") + ".Text",
	path.Join(module, "pkg/secret") + ".Value",
	path.Join(module, "pkg/statestore") + ".Secret",
	path.Join(module, "pkg/statestore") + ".Snapshot",
	path.Join(module, "pkg/statestore") + ".Commit",
}

// leaks returns the names of a package whose types can hold a secret, with the path to it.
func leaks(pkg *packages.Package) (found []string) {
	for _, obj := range pkg.TypesInfo.Defs {
		if obj == nil || obj.Type() == nil {
			continue
		}
		if way := wayToSecret(obj.Type(), make(map[types.Type]bool)); way != "" {
			found = append(found, fmt.Sprintf("%s: %s holds %s: events, changes and the journal never carry secrets",
				pkg.Fset.Position(obj.Pos()), obj.Name(), way))
		}
	}
	sort.Strings(found)
	return slices.Compact(found)
}

// wayToSecret is the path from a type to a secret, or empty.
func wayToSecret(t types.Type, seen map[types.Type]bool) string {
	t = types.Unalias(t)
	if seen[t] {
		return ""
	}
	seen[t] = true
	if named, ok := t.(*types.Named); ok && named.Obj().Pkg() != nil {
		name := named.Obj().Pkg().Path() + "." + named.Obj().Name()
		if slices.Contains(secretTypes, name) {
			return short(name)
		}
		for i := range named.TypeArgs().Len() {
			if way := wayToSecret(named.TypeArgs().At(i), seen); way != "" {
				return way
			}
		}
	}
	for _, part := range parts(t.Underlying()) {
		if way := wayToSecret(part, seen); way != "" {
			return way
		}
	}
	return ""
}

// parts are the types that a type consists of.
func parts(t types.Type) (list []types.Type) {
	switch t := t.(type) {
	case *types.Struct:
		for f := range t.Fields() {
			list = append(list, f.Type())
		}
	case *types.Map:
		list = append(list, t.Key(), t.Elem())
	case interface{ Elem() types.Type }: // arrays, slices, pointers, channels
		list = append(list, t.Elem())
	case *types.Signature:
		list = append(list, t.Params(), t.Results())
	case *types.Tuple:
		for v := range t.Variables() {
			list = append(list, v.Type())
		}
	case *types.Interface:
		for m := range t.Methods() {
			list = append(list, m.Type())
		}
	}
	return list
}
