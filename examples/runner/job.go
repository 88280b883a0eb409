package runner

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// Job is what a user asks for.
type Job struct {
	ID      string            // names the job, and is the key of its lease; empty in a file: a random one
	Script  []string          // shell commands; the first one that fails ends the job
	Env     map[string]string // variables for the script
	Timeout time.Duration     // of the preparation and the script; it does not include the wait for an instance
	Image   string            // of the container; empty: the executor's default
}

// DefaultTimeout is that of a job that sets none.
const DefaultTimeout = time.Hour

// keys are the keys of a job file, and what the value of each must be.
var keys = map[string]string{
	"id":      `a string`,
	"script":  `a list of shell commands, such as ["make", "make test"]`,
	"env":     `an object of strings, such as {"GREETING": "hello"}`,
	"timeout": `a duration as a string, such as "10m"`,
	"image":   `a string, such as "alpine:3.20"`,
}

const shape = `a job is one JSON object, such as {"script": ["make", "make test"], "timeout": "10m"}`

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// ReadJob reads a job file. name is for messages.
func ReadJob(name string, from io.Reader) (*Job, error) {
	text, err := io.ReadAll(from)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var values map[string]json.RawMessage
	if err := json.Unmarshal(text, &values); err != nil {
		return nil, fmt.Errorf("%s: %s%s", name, fault(text, err), shape)
	}
	job, err := decode(values)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return job, nil
}

// fault says where text is no JSON. It is empty for JSON that is no object.
func fault(text []byte, err error) string {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return ""
	}
	return fmt.Sprintf("line %d: %v: ", 1+strings.Count(string(text[:syntax.Offset]), "\n"), syntax)
}

func decode(values map[string]json.RawMessage) (*Job, error) {
	job := &Job{}
	var timeout string
	targets := map[string]any{"id": &job.ID, "script": &job.Script, "env": &job.Env, "timeout": &timeout, "image": &job.Image}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if targets[key] == nil {
			return nil, fmt.Errorf("unknown key %q: the keys are %s", key, strings.Join(slices.Sorted(maps.Keys(keys)), ", "))
		}
		if json.Unmarshal(values[key], targets[key]) != nil {
			return nil, fmt.Errorf("key %q: write %s", key, keys[key])
		}
	}
	if err := job.limit(timeout); err != nil {
		return nil, err
	}
	if job.ID == "" {
		job.ID = "job-" + rand.Text()
	}
	return job, job.check()
}

func (j *Job) limit(timeout string) (err error) {
	if timeout == "" {
		j.Timeout = DefaultTimeout
		return nil
	}
	if j.Timeout, err = time.ParseDuration(timeout); err != nil || j.Timeout <= 0 {
		return fmt.Errorf(`key "timeout": %q is not a duration above 0: write %s`, timeout, keys["timeout"])
	}
	return nil
}

func (j *Job) check() error {
	if err := taskscaler.CheckKey(j.ID); err != nil {
		return fmt.Errorf(`key "id": %w`, err)
	}
	if len(j.Script) == 0 {
		return fmt.Errorf(`key "script" is missing or empty: write %s`, keys["script"])
	}
	if slices.ContainsFunc(j.Script, hasNUL) {
		return errors.New(`key "script": a command contains a NUL character, which no shell can run: remove it`)
	}
	for _, name := range slices.Sorted(maps.Keys(j.Env)) {
		switch {
		case !variable.MatchString(name):
			return fmt.Errorf(`key "env": %q is not a name of a variable: use letters, digits and _, and no digit at the start`, name)
		case hasNUL(j.Env[name]):
			return fmt.Errorf(`key "env": the value of %s contains a NUL character, which no variable can have: remove it`, name)
		}
	}
	return nil
}

func hasNUL(s string) bool { return strings.Contains(s, "\x00") }

// Input is what `sh -s` reads from its standard input to run the job. Variables and script never stand on a command line, which every user of
// the instance could read, nor in a file.
//
// The script is the argument of eval: the shell has then read all of it before the first command runs, so no command takes the rest of the
// script for its own input.
func (j *Job) Input() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(j.Env)) {
		fmt.Fprintf(&b, "export %s=%s\n", name, Quote(j.Env[name]))
	}
	fmt.Fprintf(&b, "eval %s </dev/null\n", Quote("set -e\n"+strings.Join(j.Script, "\n")))
	return b.String()
}

// Quote returns text as one word of a POSIX shell.
func Quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
