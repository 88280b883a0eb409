package archtest

import (
	"fmt"
	"go/types"
	"path"
	"regexp"
	"slices"
	"sort"
	"strings"

	"golang.org/x/tools/go/packages"
)

// secretName is the name of a field that holds a secret. A Key is one if it is bytes: a text of this name is the key of a lease.
var secretName = regexp.MustCompile(`(?i)passw|passphrase|secret|token|credential|private_?key|api_?key|access_?key`)

// plainSecrets lists the fields that hold a secret in a plain type, with the reason.
var plainSecrets = map[string]string{
	"pkg/provider.ConnectorConfig.Password":  "plugins that were written for fleeting set it; ConnectorConfig formats and encodes itself",
	"pkg/provider.ConnectorConfig.Key":       "plugins that were written for fleeting set it; ConnectorConfig formats and encodes itself",
	"pkg/provider.plainConnector.Password":   "ConnectorConfig without its methods, for ConnectInfo.RevealJSON",
	"pkg/provider.plainConnector.Key":        "ConnectorConfig without its methods, for ConnectInfo.RevealJSON",
	"pkg/provider.hiddenConnector.Key":       "it holds [redacted]",
	"pkg/statestore.Snapshot.Secrets":        "Snapshot formats itself, and JSON leaves them out",
	"pkg/statestore.memoryData.secrets":      "Memory formats itself",
	"pkg/statestore/storetest.Model.Secrets": "a test made them up",
}

// notSecrets lists the fields whose name only looks like that of a secret.
var notSecrets = map[string]string{
	"pkg/config.StateStorage.KeyCredential": "the name of a credential of systemd",
}

// plainFields returns the fields of a package that are named like a secret and have a plain type.
func plainFields(pkg *packages.Package) (found []string) {
	for _, s := range structs(pkg) {
		for f := range s.fields.Fields() {
			name := s.name + "." + f.Name()
			bytes, text := plainType(f.Type())
			if !(bytes || text) || !secretName.MatchString(f.Name()) && !(bytes && f.Name() == "Key") {
				continue
			}
			if _, is := plainSecrets[name]; is {
				continue
			}
			if _, is := notSecrets[name]; is || strings.HasSuffix(f.Name(), "Path") || strings.HasSuffix(f.Name(), "File") {
				continue
			}
			found = append(found, fmt.Sprintf("%s: %s holds a secret in a plain type: use secret.Text", pkg.Fset.Position(f.Pos()), name))
		}
	}
	sort.Strings(found)
	return found
}

// plainType reports whether t is bytes or a text, also several of them.
func plainType(t types.Type) (bytes, text bool) {
	switch u := t.Underlying().(type) {
	case *types.Basic:
		return false, u.Info()&types.IsString != 0
	case *types.Slice:
		if b, ok := u.Elem().Underlying().(*types.Basic); ok && b.Kind() == types.Byte {
			return true, false
		}
		return plainType(u.Elem())
	case *types.Map:
		_, key := plainType(u.Key())
		bytes, text = plainType(u.Elem())
		return bytes, text || key
	}
	return false, false
}

// printable returns the types of a package that fmt prints with the secrets in their unexported fields: fmt does not call the methods of such a
// field, and follows a pointer for a verb that does not fit.
func printable(pkg *packages.Package) (found []string) {
	for _, s := range structs(pkg) {
		if formats(s.of) {
			continue
		}
		for f := range s.fields.Fields() {
			t := f.Type()
			if p, ok := types.Unalias(t).(*types.Pointer); ok {
				t = p.Elem()
			}
			if f.Exported() || !shows(t, map[types.Type]bool{}) {
				continue
			}
			found = append(found, fmt.Sprintf("%s: %s.%s holds a secret, which fmt prints: use secret.Value, or give %s a Format method",
				pkg.Fset.Position(f.Pos()), s.name, f.Name(), s.name))
		}
	}
	sort.Strings(found)
	return found
}

// shows reports whether fmt finds a plain secret in t without following a pointer.
func shows(t types.Type, seen map[types.Type]bool) bool {
	t = types.Unalias(t)
	if seen[t] {
		return false
	}
	seen[t] = true
	if named, ok := t.(*types.Named); ok && named.Obj().Pkg() != nil {
		if named.Obj().Pkg().Path()+"."+named.Obj().Name() == path.Join(module, "pkg/provider")+".ConnectorConfig" {
			return true
		}
	}
	switch u := t.Underlying().(type) {
	case *types.Struct:
		for f := range u.Fields() {
			if shows(f.Type(), seen) {
				return true
			}
		}
	case *types.Map:
		return shows(u.Key(), seen) || shows(u.Elem(), seen)
	case *types.Slice:
		return shows(u.Elem(), seen)
	case *types.Array:
		return shows(u.Elem(), seen)
	}
	return false
}

// formats reports whether a type, or a pointer to it, has a method Format.
func formats(t types.Type) bool {
	for _, of := range []types.Type{t, types.NewPointer(t)} {
		if types.NewMethodSet(of).Lookup(nil, "Format") != nil {
			return true
		}
	}
	return false
}

// structType is a struct that a package declares.
type structType struct {
	name   string // the folder of its package, and its name
	of     types.Type
	fields *types.Struct
}

func structs(pkg *packages.Package) (list []structType) {
	scope := pkg.Types.Scope()
	for _, name := range scope.Names() {
		obj, ok := scope.Lookup(name).(*types.TypeName)
		if !ok || obj.IsAlias() {
			continue
		}
		if s, ok := obj.Type().Underlying().(*types.Struct); ok {
			list = append(list, structType{name: short(pkg.PkgPath) + "." + name, of: obj.Type(), fields: s})
		}
	}
	slices.SortFunc(list, func(a, b structType) int { return strings.Compare(a.name, b.name) })
	return list
}
