package gcetest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// discovery is Google's own description of the API.
type discovery struct {
	Schemas   map[string]*schema
	Resources map[string]struct{ Methods map[string]*described }
}

type described struct {
	ID       string
	Request  *schema
	Response *schema
}

type schema struct {
	Ref        string `json:"$ref"`
	Type       string
	Format     string
	Enum       []string
	Items      *schema
	Properties map[string]*schema
	Additional *schema `json:"additionalProperties"`
}

// discoveryFile is the path of the discovery document, in the module of Google's other client.
func discoveryFile() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "google.golang.org/api").Output()
	if err != nil {
		return "", fmt.Errorf("where is the module google.golang.org/api: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "compute", "v1", "compute-api.json"), nil
}

var theDiscovery = sync.OnceValues(func() (*discovery, error) {
	path, err := discoveryFile()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	d := &discovery{}
	return d, json.Unmarshal(text, d)
})

// exercised are the methods that answered in these tests with success.
var exercised sync.Map

// recorder checks each answer of a server against the schema of its method.
func recorder(t *testing.T) func(answered) {
	t.Helper()
	d, err := theDiscovery()
	if err != nil {
		t.Fatal(err)
	}
	return func(a answered) {
		var v any
		if err := json.Unmarshal(a.body, &v); err != nil {
			t.Errorf("the answer of %s is no JSON: %v", a.method, err)
			return
		}
		if a.status >= 400 {
			for _, f := range wrongError(a.status, v) {
				t.Errorf("the error of %s: %s", a.method, f)
			}
			return
		}
		exercised.Store(a.method, true)
		resource, name, _ := strings.Cut(a.method, ".")
		m := d.Resources[resource].Methods[name]
		if m == nil {
			t.Errorf("the discovery document has no method %s", a.method)
			return
		}
		for _, f := range d.wrong(name, m.Response, v) {
			t.Errorf("the answer of %s: %s", a.method, f)
		}
	}
}

func wrongError(status int, v any) []string {
	e, _ := v.(map[string]any)["error"].(map[string]any)
	var faults []string
	if code, _ := e["code"].(float64); int(code) != status {
		faults = append(faults, fmt.Sprintf("code %v with status %d", e["code"], status))
	}
	list, _ := e["errors"].([]any)
	if len(list) == 0 {
		return append(faults, "it has no errors")
	}
	one, _ := list[0].(map[string]any)
	for _, key := range []string{"message", "reason", "domain"} {
		if one[key] == "" || one[key] == nil {
			faults = append(faults, "it has no "+key)
		}
	}
	return faults
}

// wrong returns what is wrong with a value, beside its schema.
func (d *discovery) wrong(path string, s *schema, v any) []string {
	if s.Ref != "" {
		return d.wrong(path, d.Schemas[s.Ref], v)
	}
	switch s.Type {
	case "object":
		return d.wrongObject(path, s, v)
	case "array":
		list, ok := v.([]any)
		if !ok {
			return []string{path + " is no array"}
		}
		var faults []string
		for i, one := range list {
			faults = append(faults, d.wrong(fmt.Sprintf("%s[%d]", path, i), s.Items, one)...)
		}
		return faults
	}
	if f := wrongScalar(s, v); f != "" {
		return []string{fmt.Sprintf("%s is %v: %s", path, v, f)}
	}
	return nil
}

func (d *discovery) wrongObject(path string, s *schema, v any) (faults []string) {
	object, ok := v.(map[string]any)
	if !ok {
		return []string{path + " is no object"}
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		of := s.Properties[key]
		if of == nil {
			of = s.Additional
		}
		if of == nil {
			faults = append(faults, path+"."+key+" is unknown")
			continue
		}
		faults = append(faults, d.wrong(path+"."+key, of, object[key])...)
	}
	return faults
}

var timestamp = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}-0[78]:00$`)

func wrongScalar(s *schema, v any) string {
	switch s.Type {
	case "string":
		text, ok := v.(string)
		switch {
		case !ok:
			return "want a string"
		case len(s.Enum) > 0 && !slices.Contains(s.Enum, text):
			return "it is none of " + strings.Join(s.Enum, ", ")
		case s.Format == "uint64" || s.Format == "int64":
			if _, err := strconv.ParseUint(text, 10, 64); err != nil {
				return "want digits"
			}
		case s.Format == "byte":
			if _, err := base64.URLEncoding.DecodeString(text); err != nil {
				return "want base64"
			}
		}
	case "integer", "number":
		if _, ok := v.(float64); !ok {
			return "want a number"
		}
	case "boolean":
		if _, ok := v.(bool); !ok {
			return "want true or false"
		}
	default:
		return "its schema has the type " + s.Type
	}
	return ""
}

func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 && !filtered() {
		for name := range methods() {
			if _, ok := exercised.Load(name); !ok {
				fmt.Println("no test calls the method", name)
				code = 1
			}
		}
	}
	os.Exit(code)
}

// filtered reports whether only some tests run.
func filtered() bool {
	return slices.ContainsFunc(os.Args, func(a string) bool {
		return strings.HasPrefix(a, "-test.run") || strings.HasPrefix(a, "-test.skip") || strings.HasPrefix(a, "-test.list") || strings.HasPrefix(a, "-test.fuzz") || strings.HasPrefix(a, "-test.bench")
	})
}

func TestSchemasFindFaults(t *testing.T) {
	d, err := theDiscovery()
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		`{"id":7}`: "want a string", `{"id":"x"}`: "want digits", `{"status":"NONE"}`: "it is none of", `{"colour":"red"}`: "is unknown", `{"disks":{}}`: "is no array",
		`{"deletionProtection":"yes"}`: "want true or false",
	} {
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(d.wrong("", d.Schemas["Instance"], v), "; "); !strings.Contains(got, want) {
			t.Errorf("%s: want a fault with %q, got %q", text, want, got)
		}
	}
	stamp := (&Server{start: time.Now()}).stamp(0)
	if !timestamp.MatchString(stamp) {
		t.Errorf("the timestamp %s", stamp)
	}
}
