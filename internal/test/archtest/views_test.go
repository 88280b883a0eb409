package archtest

import (
	"strings"
	"testing"
)

// TestViewsPrintSafely: whatever prints for people uses safetext.
func TestViewsPrintSafely(t *testing.T) {
	for _, f := range unsafePrints(loadSources(t, root)) {
		t.Error(f)
	}
}

func TestUnsafePrints(t *testing.T) {
	dir := write(t, map[string]string{
		"cmd/taskscaler/main.go":   "package main\n\nimport \"os\"\n\nvar _ = os.Stdout\n",
		"cmd/taskscaler/view.go":   "package main\n\nimport (\n\t\"fmt\"\n\t\"os\"\n)\n\nfunc view() {\n\tfmt.Fprintln(os.Stderr, fmt.Sprintf(\"x\"))\n\tfmt.Print()\n}\n",
		"cmd/taskscaler/a_test.go": "package main\n\nimport \"fmt\"\n\nfunc test() { fmt.Println() }\n",
		"plugins/fake/print.go":    "package fake\n\nimport \"fmt\"\n\nfunc Print() { fmt.Println() }\n",
	})
	got := unsafePrints(loadSources(t, dir))
	want := []string{"cmd/taskscaler/view.go:9: fmt.Fprintln", "cmd/taskscaler/view.go:9: os.Stderr", "cmd/taskscaler/view.go:10: fmt.Print"}
	if len(got) != len(want) {
		t.Fatalf("%q, want %q", got, want)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("%q, want %q", got[i], want[i])
		}
	}
}
