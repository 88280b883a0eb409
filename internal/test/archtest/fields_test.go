package archtest

import (
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// TestSecretsHaveATypeOfTheirOwn reads the types of the whole repository: a secret is in a type that redacts itself, and nothing that holds one
// prints it.
func TestSecretsHaveATypeOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, pkg := range loadAs(t, packages.LoadSyntax, module+"/...", module+"/cmd/taskscaler/...", module+"/pkg/simulate/...") {
		if strings.HasSuffix(pkg.PkgPath, "/internal/pb") { // generated: what goes over the wire
			continue
		}
		if strings.Contains(pkg.PkgPath, "/internal/cloudtest/") || strings.HasSuffix(pkg.PkgPath, "/plugins/gcp/gcetest") { // a cloud for tests, which made the secrets up
			continue
		}
		for _, f := range plainFields(pkg) {
			t.Error(f)
		}
		for _, f := range printable(pkg) {
			t.Error(f)
		}
		for _, s := range structs(pkg) {
			for f := range s.fields.Fields() {
				seen[s.name+"."+f.Name()] = true
			}
		}
	}
	for _, list := range []map[string]string{plainSecrets, notSecrets} {
		for name, why := range list {
			if !seen[name] || why == "" {
				t.Errorf("the exception for %s: it is not needed, or has no reason", name)
			}
		}
	}
}

// TestPlainSecretsAreFound gives both rules a package that breaks them.
func TestPlainSecretsAreFound(t *testing.T) {
	const at = "internal/test/archtest/testdata/plain."
	pkg := loadAs(t, packages.LoadSyntax, "./testdata/plain")[0]
	for name, c := range map[string]struct{ found, want []string }{
		"plain": {plainFields(pkg), []string{"Account.APIKey", "Account.DBPassword", "Account.Key", "Account.Tokens", "Account.secrets"}},
		"shown": {printable(pkg), []string{"byPointer.settings", "deep.all", "holder.info"}},
	} {
		var got []string
		for _, f := range c.found {
			field, _, _ := strings.Cut(f[strings.Index(f, at)+len(at):], " ")
			got = append(got, field)
		}
		for _, want := range c.want {
			if !strings.Contains(strings.Join(got, " ")+" ", want+" ") {
				t.Errorf("%s: %s was not found", name, want)
			}
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: found %q, want %q", name, got, c.want)
		}
	}
}
