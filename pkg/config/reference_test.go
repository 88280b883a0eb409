package config

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	referenceFile  = "../../docs/configuration.md"
	referenceBegin = "<!-- keys: generated from pkg/config; go test ./pkg/config -run TestReference -update -->\n"
	referenceEnd   = "<!-- end of keys -->\n"
)

// reference renders Keys as the tables of docs/configuration.md.
func reference() string {
	var b strings.Builder
	section := "-"
	for _, k := range Keys() {
		if s := k.section(); s != section {
			section = s
			title := "The head of the file"
			if s != "" {
				title = "`" + header(s) + "`"
			}
			fmt.Fprintf(&b, "\n### %s\n\n| key | type | default | meaning | whose | reload |\n|---|---|---|---|---|---|\n", title)
		}
		fallback := ""
		if k.Default != "" {
			fallback = "`" + k.Default + "`"
			if !literal.MatchString(k.Default) {
				fallback = k.Default
			}
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", k.name(), k.Type, fallback, k.Meaning, k.Origin, k.Reload)
	}
	return b.String() + "\n"
}

// literal matches a default that can be copied into a file. Other defaults are words.
var literal = regexp.MustCompile(`^(-?[0-9][0-9a-z.]*|true|false|\[.*\]|info|text|hold|max|\.taskscaler)$`)

func TestReference(t *testing.T) {
	text := string(readFile(t, referenceFile))
	head, rest, begun := strings.Cut(text, referenceBegin)
	_, tail, ended := strings.Cut(rest, referenceEnd)
	if !begun || !ended {
		t.Fatalf("%s has no place for the keys, between %q and %q", referenceFile, referenceBegin, referenceEnd)
	}
	want := head + referenceBegin + reference() + referenceEnd + tail
	if text == want {
		return
	}
	if !*update {
		t.Fatalf("%s differs from the code: run go test ./pkg/config -run TestReference -update", referenceFile)
	}
	if err := os.WriteFile(referenceFile, []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Every key of the schema is read. No other key is, because section.get panics on others. The file that sets all keys has no fault.
func TestEveryKeyIsRead(t *testing.T) {
	r := newReader("everything.toml", false)
	data := readFile(t, "testdata/good/everything.toml")
	r.parse(data)
	if err := r.report.Err(); err != nil {
		t.Fatal(err)
	}
	for _, k := range Keys() {
		if !r.asked[k.Path] {
			t.Errorf("%s is in the schema and is never read", k.Path)
		}
	}
	root, bad := parseDocument("everything.toml", data)
	if bad != nil {
		t.Fatal(bad)
	}
	for _, k := range Keys() {
		twin := strings.Contains(k.Path, "vm_isolation.connector_config.") || strings.Contains(k.Path, "policy.scale_throttle.")
		if !twin && find(root, strings.Split(k.Path, ".")) == nil {
			t.Errorf("testdata/good/everything.toml does not set %s", k.Path)
		}
	}
}

// find returns the node of a key. In an array it takes the last table.
func find(n *node, path []string) *node {
	for _, key := range path {
		if n != nil && n.kind == kindArray {
			n = n.elems[len(n.elems)-1]
		}
		n = n.child(key)
	}
	return n
}

func TestKeysAreDescribed(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Keys() {
		if seen[k.Path] {
			t.Errorf("%s is there twice", k.Path)
		}
		seen[k.Path] = true
		if !strings.HasSuffix(k.Meaning, ".") || strings.ContainsAny(k.Meaning, "|\n") || k.Type == "" {
			t.Errorf("%s is not described: %q", k.Path, k.Meaning)
		}
		if !slices.Contains([]Origin{GitLab, Ours}, k.Origin) || !slices.Contains([]Reload{Live, NewInstances, Restart, NotUsed}, k.Reload) {
			t.Errorf("%s: origin %q, reload %q", k.Path, k.Origin, k.Reload)
		}
		if s := k.section(); s != "" && !seen[s] {
			t.Errorf("%s comes before its section %s", k.Path, s)
		}
	}
}

// A value of the wrong type is a fault of its key, at its line.
func TestEveryKeyHasItsType(t *testing.T) {
	wrong := map[Type]string{TypeString: "1", TypeInteger: `"x"`, TypeNumber: `"x"`, TypeBoolean: `"x"`, TypeDuration: "1", TypeSeconds: `"x"`,
		TypeStrings: "1", TypeNumbers: "1", TypeTable: "1", TypeTables: "1", TypeAny: "1"}
	for _, k := range Keys() {
		var b strings.Builder
		switch s := k.section(); {
		case s == "":
		case s == "runners":
			b.WriteString("[[runners]]\n")
		case strings.HasSuffix(s, ".policy"):
			b.WriteString("[[runners]]\n[[" + s + "]]\n")
		default:
			b.WriteString("[[runners]]\n[" + s + "]\n")
		}
		line := strings.Count(b.String(), "\n") + 1
		b.WriteString(k.name() + " = " + wrong[k.Type] + "\n")
		report := ValidateFragment("f.toml", []byte(b.String()))
		if !slices.ContainsFunc(report.Faults(), func(p Problem) bool { return p.Key == k.Path && p.Code == CodeType && p.Line == line }) {
			t.Errorf("%s = %s: got %v", k.Path, wrong[k.Type], report.Problems)
		}
	}
}
