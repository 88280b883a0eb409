package explain_test

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/internal/explain"
)

// TestDocumented: docs/operations.md names every JSON field of records and documents, and every kind of record.
func TestDocumented(t *testing.T) {
	guide, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(guide), "## Why did it…?")
	section, _, end := strings.Cut(section, "\n## ")
	if !found || !end {
		t.Fatal("the section is missing")
	}
	for _, of := range []any{explain.Record{}, explain.Sizing{}, explain.Policy{}, explain.Link{}, explain.Document{}, explain.State{}, explain.Span{}} {
		typ := reflect.TypeOf(of)
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			if name != "" && !strings.Contains(section, "`"+name+"`") {
				t.Errorf("%s.%s is not described", typ.Name(), name)
			}
		}
	}
	source, err := os.ReadFile("record.go")
	if err != nil {
		t.Fatal(err)
	}
	kinds := regexp.MustCompile(`Kind = "([a-z_]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(kinds) < 19 {
		t.Fatalf("%d kinds", len(kinds))
	}
	for _, k := range kinds {
		if !strings.Contains(section, "`"+k[1]+"`") {
			t.Errorf("kind %s is not described", k[1])
		}
	}
}
