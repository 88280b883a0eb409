package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// A generated mutant forgets one stored field whenever it is loaded. There is one for each field of a stored record and of a snapshot. All
// of them are in one binary of the simulation; the environment variable forgetEnv names the field.

const forgetEnv = "TASKSCALER_MUTANT_FORGETS"

// keptPath is relative to the module's root. The file says of each field that nothing misses why it is stored all the same.
const keptPath = "internal/test/mutants/kept.txt"

// seam is a function that loads a stored form. Its parameter of that form loses the field before the function begins.
type seam struct {
	form     reflect.Type
	file     string
	function string // the line that begins it
	argument string
}

var seams = []seam{
	{reflect.TypeFor[record.Saved](), "internal/fleet/changes.go", "func (r *Register) Load(s *record.Saved, now Stamp) error {", "s"},
	{reflect.TypeFor[scaler.Snapshot](), "internal/scaler/snapshot.go", "func Resume(s *Snapshot) (*Core, error) {", "s"},
}

// field is one stored field, as a path such as "Saved.Instances.Leases.Key": every element of a slice is meant.
type field string

// storedFields are the fields of all stored forms, in the order of their declaration.
func storedFields() (all []field) {
	for _, s := range seams {
		all = append(all, fieldsOf(s.form, s.form.Name())...)
	}
	return all
}

// fieldsOf are the fields below t. What a batch holds, a decision and a value without exported fields are forgotten as a whole: no stored
// form looks into them.
func fieldsOf(t reflect.Type, path string) (all []field) {
	for t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || !looksInto(t) {
		return []field{field(path)}
	}
	for n := range t.NumField() {
		if f := t.Field(n); f.IsExported() {
			all = append(all, fieldsOf(f.Type, path+"."+f.Name)...)
		}
	}
	return all
}

func looksInto(t reflect.Type) bool {
	switch t {
	case reflect.TypeFor[scaler.Command](), reflect.TypeFor[scaler.Grant](), reflect.TypeFor[scaler.Fact](), reflect.TypeFor[time.Time]():
		return false
	}
	return t.Name() != "Decision"
}

// forgetter is the source that forgets a field. It is added to a room by an overlay.
const forgetter = `package %s

import (
	"os"
	"reflect"
	"strings"
)

var forgotten = os.Getenv(%q)

func forget(form any) {
	path := strings.Split(forgotten, ".")
	if v := reflect.ValueOf(form).Elem(); v.Type().Name() == path[0] {
		forgetIn(v, path[1:])
	}
}

func forgetIn(v reflect.Value, path []string) {
	switch {
	case len(path) == 0:
		v.SetZero()
	case v.Kind() == reflect.Slice:
		for n := range v.Len() {
			forgetIn(v.Index(n), path)
		}
	default:
		forgetIn(v.FieldByName(path[0]), path[1:])
	}
}
`

// forgetful builds the simulation with all generated mutants in it, and returns its binary.
func (b *bench) forgetful(ctx context.Context, dir string) (string, error) {
	copies := map[string]string{}
	for _, s := range seams {
		src, err := os.ReadFile(filepath.Join(b.root, s.file))
		if err != nil {
			return "", err
		}
		if strings.Count(string(src), s.function) != 1 {
			return "", fmt.Errorf("%s has no line %q: update the seam of %s in internal/test/mutants/fields.go", s.file, s.function, s.form)
		}
		room := filepath.Dir(s.file)
		added := fmt.Sprintf(forgetter, filepath.Base(room), forgetEnv)
		for name, text := range map[string]string{
			s.file:                           strings.Replace(string(src), s.function, s.function+"\n\tforget("+s.argument+")", 1),
			filepath.Join(room, "forget.go"): added,
		} {
			to := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
			if err := os.WriteFile(to, []byte(text), 0o644); err != nil {
				return "", err
			}
			copies[filepath.Join(b.root, name)] = to
		}
	}
	overlay, err := writeOverlay(dir, copies)
	if err != nil {
		return "", err
	}
	return b.build(ctx, suiteDST, dir, overlay)
}

// forgets runs the simulation without field f. A snapshot is resumed in every second schedule.
func (b *bench) forgets(ctx context.Context, bin string, f field) result {
	ctx, cancel := context.WithTimeout(ctx, killTimeout)
	defer cancel()
	began := time.Now()
	args := []string{forgetEnv + "=" + string(f), bin, "-seeds", fmt.Sprint(b.seeds), "-stop-first", "-quiet", "-no-coverage", "-j", "1"}
	if strings.HasPrefix(string(f), "Snapshot.") {
		args = append(args, "-record", "2")
	}
	out, err := b.command(ctx, b.root, "env", args...)
	r := result{verdict: survived, took: time.Since(began)}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		r.verdict, r.output = hangs, out
	default:
		r.verdict, r.output = killed, out
		if r.by, r.after = violation(out); r.by == "" {
			r.verdict, r.by = notBuilt, "it ended with "+err.Error()+" and did not name an invariant"
		}
	}
	return r
}

// forgetAll runs the generated mutants of fields. It returns what became of each. faults are the fields that survive without a reason in
// keptPath, and those that have one although the simulation finds them.
func forgetAll(ctx context.Context, o *options, b *bench, fields []field) (results map[string]result, faults []string, err error) {
	results = map[string]result{}
	if len(fields) == 0 {
		return results, nil, nil
	}
	why, err := readSurvivors(filepath.Join(b.root, keptPath))
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir)
	bin, err := b.forgetful(ctx, dir)
	if err != nil {
		return nil, nil, err
	}
	each(o.jobs, len(fields), func(n int) result { return b.forgets(ctx, bin, fields[n]) }, func(n int, r result) {
		name := string(fields[n])
		if r.verdict == survived && why[name] != "" {
			r.verdict, r.by = explained, "nothing: "+why[name]
		}
		results[name] = r
		fmt.Fprintf(o.out, "%-52s %-10s %s %.0fs\n", name, r.verdict, foundWords(r), r.took.Seconds())
		switch {
		case r.verdict != killed && r.verdict != explained:
			faults = append(faults, strings.TrimSpace(name+": "+string(r.verdict)+"\n"+tail(r.output, 25)))
		case r.verdict == killed && why[name] != "":
			faults = append(faults, name+": the simulation finds it; remove its line from "+keptPath)
		}
	})
	return results, faults, nil
}
