package aws

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the policy into the documentation")

// TestDocument: the documentation has the permissions and the policy of the code.
func TestDocument(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "plugins-aws.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- policy: written by go test ./plugins/aws -run TestDocument -update -->\n", "<!-- end of policy -->"
	before, rest, found := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatal("the marks of the policy are missing")
	}
	var b strings.Builder
	b.WriteString("For a group `ci` in region `eu-west-1` of account `123456789012`. Put in your own, and leave out what you do not need:\n\n```json\n")
	b.WriteString(Policy("eu-west-1", "123456789012", "ci") + "```\n\n| action | what it is for | without it |\n|---|---|---|\n")
	for _, p := range Permissions() {
		without := p.Without
		if without == "" {
			without = "nothing works"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", p.Action, p.Why, without)
	}
	want := before + begin + b.String() + end + after
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) {
		t.Error("the documentation is not up to date: go test ./plugins/aws -run TestDocument -update")
	}
}
