package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// hostile is text that somebody else chose: it clears a screen, sets a title, forges a line, hides, and turns the direction of text.
const hostile = "evil\x1b[2J\x1b]0;title\x07\b\r\nFORGED: all is well\n\tFORGED\x7f\u0085\u009b31m\u200b\u200e\u061c\u202e\u2066\u2028FORGED\u2029\ufeff\U000e0041\x00"

// long pushes everything else off a screen.
var long = hostile + strings.Repeat("Z", 10_000) + "end"

// broken is not even UTF-8.
const broken = hostile + "\xff\xc3"

// inName is what a name of a file or an argument can hold of hostile.
var inName = strings.ReplaceAll(broken, "\x00", "")

// safe fails unless a terminal shows out as text, and none of its lines was begun by text from outside: at the left, where messages begin, and in a
// view also where an item of a list begins. longest is the number of bytes of one value that may be shown.
func safe(t *testing.T, what, out string, view bool, longest int) {
	t.Helper()
	if !utf8.ValidString(out) {
		t.Errorf("%s: not UTF-8: %.300q", what, out)
	}
	for _, r := range out {
		switch {
		case r == '\n':
		case r < ' ', r >= 0x7f && r < 0xa0, strings.ContainsRune("\u00ad\u061c\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff", r),
			r >= 0xe0000 && r < 0xe0080:
			t.Errorf("%s: %U reaches the terminal: %.300q", what, r, out[max(strings.IndexRune(out, r)-100, 0):])
			return
		}
	}
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "FORGED") || view && strings.HasPrefix(line, "  FORGED") {
			t.Errorf("%s: a value began the line %.100q", what, line)
		}
	}
	if strings.Contains(out, strings.Repeat("Z", longest)) {
		t.Errorf("%s: a value of 10 kB is shown whole", what)
	}
}

// shown is the check of both streams of a command, and that the hostile text is there at all.
func shown(t *testing.T, what, stdout, stderr string) {
	t.Helper()
	safe(t, what+", stdout", stdout, true, 4<<10)
	safe(t, what+", stderr", stderr, false, 4<<10)
	if !strings.Contains(stdout+stderr, "evil") && !strings.Contains(stdout+stderr, `\x1b`) {
		t.Errorf("%s does not show the text: %q %q", what, stdout, stderr)
	}
}

// invoke runs the program in this process, with these variables.
func invoke(t *testing.T, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, environment{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, getenv: func(key string) string { return env[key] }})
	return code, out.String(), errs.String()
}

// fill sets every text in v to text, every number to 1 and every bool to true, and gives every list one element. So a field that is added later is
// part of the test.
func fill(v reflect.Value, text string) {
	switch {
	case v.CanInt():
		v.SetInt(1)
		return
	case v.CanUint():
		v.SetUint(1)
		return
	case v.CanFloat():
		v.SetFloat(1)
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), text)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), text)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)))
			return
		}
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i), text)
			}
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, text)
		fill(value, text)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	default:
		panic("fill cannot set a " + v.Type().String())
	}
}

// file writes a file with a hostile name, and returns its path.
func hostileFile(t *testing.T, suffix, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), strings.ReplaceAll(inName, "/", "")+suffix)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestHostileArguments: what is on the command line, and in the environment.
func TestHostileArguments(t *testing.T) {
	arg := inName + strings.Repeat("Z", 10_000)
	short := hostileFile(t, ".toml", tinyWith("1"))
	log := hostileFile(t, ".csv", "arrival,duration\n1,60\n2,60\n")
	for name, args := range map[string][]string{
		"a command":           {arg},
		"a flag":              {"status", "--" + arg},
		"a letter":            {"status", "-\x1b", "-" + arg},
		"an argument":         {"status", arg},
		"a topic of help":     {"help", arg},
		"a shell":             {"completion", arg},
		"a value":             {"status", "--all=" + arg},
		"a number":            {"explain", "--last", arg},
		"a time":              {"explain", "--at", arg, "--journal", "x"},
		"until":               {"replay", "x", "--until", arg},
		"a socket":            {"status", "--socket", arg},
		"a socket of run":     {"run", "--config", short, "--socket", arg},
		"a socket of drain":   {"drain", "--socket", arg},
		"a socket of exec":    {"exec", "--socket", arg, "--", "true"},
		"a file of run":       {"run", "--config", arg},
		"a file of exec":      {"exec", "--config", arg, "--", "true"},
		"an upload":           {"exec", "--upload", arg, "--", "true"},
		"a file to upload":    {"exec", "--upload", arg + ":" + arg, "--", "true"},
		"a download":          {"exec", "--download", strings.ReplaceAll(arg, ":", ""), "--", "true"},
		"ends of a tunnel":    {"tunnel", "k", arg},
		"a socket of tunnel":  {"tunnel", "k", "./" + strings.ReplaceAll(arg, ":", "") + ":80"},
		"a file of validate":  {"validate", arg},
		"files of validate":   {"validate", "--files", "--fragment", arg},
		"a file of explain":   {"explain", "--config", arg},
		"a journal":           {"explain", "--journal", arg},
		"a journal of replay": {"replay", arg},
		"a runner":            {"explain", "--config", short, "--runner", arg},
		"a runner of run":     {"run", "--config", short, "--runner", arg, "--socket", filepath.Join(t.TempDir(), "s")},
		"a workload":          {"simulate", "--config", short, "--workload", arg},
		"a model":             {"simulate", "--config", short, "--workload", "x", "--model", arg},
		"a shape":             {"simulate", "--config", short, "--workload", "x", "--shape", arg, "--model", short},
		"an assertion":        {"simulate", "--config", short, "--workload", "x", "--assert", arg},
		"a tag":               {"simulate", "--config", short, "--workload", "poisson:rate=1/s,duration=1s,jobs=9", "--assert", "p95_wait[" + arg + "]<1s"},
		"a format":            {"simulate", "--config", short, "--workload", "x", "--format", arg},
		"an output":           {"simulate", "--config", short, "--workload", "x", "--output", arg + ".x" + arg},
		"a time zone":         {"simulate", "--config", short, "--workload", "x", "--timezone", arg},
		"a start":             {"simulate", "--config", short, "--workload", "poisson:rate=1/s,duration=1s,jobs=9", "--start", arg},
		"a scale":             {"simulate", "--config", short, "--workload", log, "--scale", arg},
		"columns":             {"simulate", "--config", short, "--workload", short, "--columns", arg},
		"a format of logs":    {"simulate", "--config", short, "--workload", short, "--format-in", arg},
		"configurations":      {"simulate", "compare", arg, arg, "--workload", "x"},
		"an SLO":              {"simulate", "recommend", "--config", short, "--workload", "x", "--slo", arg},
		"a key to keep":       {"simulate", "recommend", "--config", short, "--workload", "poisson:rate=1/s,duration=1s,jobs=99", "--keep", arg},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := invoke(t, map[string]string{"XDG_RUNTIME_DIR": t.TempDir()}, args...)
			if code == 0 {
				t.Errorf("it succeeds: %.300q", stdout)
			}
			shown(t, name, stdout, stderr)
		})
	}
	dir := filepath.Dir(short) + "/" + inName
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	_, stdout, stderr := invoke(t, map[string]string{"XDG_RUNTIME_DIR": dir}, "status")
	shown(t, "a directory of the environment", stdout, stderr)
	plugged := write(t, strings.Replace(tinyWith("1"), "\"fake\"", "\"nosuch\"", 1))
	for _, args := range [][]string{{"exec", "--config", plugged, "--", "true"}, {"validate", "--files", plugged}} {
		_, stdout, stderr = invoke(t, map[string]string{"TASKSCALER_PLUGIN_PATH": "/" + arg}, args...)
		shown(t, "a plugin path of the environment", stdout, stderr)
	}
}

// TestHelpIsNotChanged: nothing of our own needs an escape.
func TestHelpIsNotChanged(t *testing.T) {
	for _, line := range []string{"completion bash", "completion zsh", "completion fish", "completion powershell", "help exec", "version", "simulate schema"} {
		if _, stdout, _ := invoke(t, nil, strings.Fields(line)...); stdout == "" || strings.Contains(stdout, `\u00`) {
			t.Errorf("%s is changed", line)
		}
	}
}
