package compat

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/explain"
)

// answer is what the old binary said when it was asked with these arguments (and --utc, and the journal).
type answer struct {
	Question []string          `json:"question"`
	Text     string            `json:"text"`
	JSON     []json.RawMessage `json:"json"` // a line each
}

// TestAnswers asks today's library what the old binary was asked.
func TestAnswers(t *testing.T) {
	dir := filepath.Join(unpack(t), "journal")
	for _, a := range lines[answer](t, "testdata/answers.jsonl.gz") {
		t.Run(strings.Join(a.Question, " "), func(t *testing.T) {
			compare(t, &a, ask(t, a.Question, dir, false), ask(t, a.Question, dir, true))
		})
	}
}

// TestBinary asks today's binary some of it, with the journal named by its folder and by the configuration.
func TestBinary(t *testing.T) {
	command := build(t)
	runner := unpack(t)
	config := filepath.Join(runner, "..", "..", "config.toml")
	raw, err := os.ReadFile("testdata/config.toml")
	if err == nil {
		err = os.WriteFile(config, raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	asked := map[string]int{}
	for _, a := range lines[answer](t, "testdata/answers.jsonl.gz") {
		kind := strings.Join(a.Question[:min(2, len(a.Question))], " ")
		if asked[kind]++; asked[kind] > 2 {
			continue
		}
		where := [][]string{{"--journal", filepath.Join(runner, "journal")}, {"--config", config}}
		if a.Question[0] == "replay" {
			where = [][]string{{filepath.Join(runner, "journal")}}
		}
		for _, w := range where {
			t.Run(strings.Join(append(slices.Clone(a.Question), w[0]), " "), func(t *testing.T) {
				args := slices.Concat(a.Question, w, []string{"--utc"})
				compare(t, &a, run(t, command, args), run(t, command, append(args, "--json")))
			})
		}
	}
}

func build(t *testing.T) string {
	t.Helper()
	command := filepath.Join(t.TempDir(), "taskscaler")
	b := exec.Command("go", "build", "-o", command, "./cmd/taskscaler")
	b.Dir = filepath.Join("..", "..", "..")
	if out, err := b.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return command
}

func run(t *testing.T, command string, args []string) []byte {
	t.Helper()
	var stderr bytes.Buffer
	c := exec.Command(command, args...)
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, &stderr)
	}
	return out
}

// ask calls the library with the arguments of a command line.
func ask(t *testing.T, args []string, dir string, asJSON bool) []byte {
	t.Helper()
	var out bytes.Buffer
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	var err error
	if args[0] == "replay" {
		err = explain.Replay(context.Background(), explain.ReplayRequest{Path: dir, JSON: asJSON, Location: time.UTC, Now: now, Out: &out})
	} else {
		q := explain.Request{Journal: dir, Last: 10, JSON: asJSON, Location: time.UTC, Now: now, Out: &out}
		for i := 1; i < len(args); i += 2 {
			set(t, &q, args[i], args[i+1])
		}
		err = explain.Run(context.Background(), q)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func set(t *testing.T, q *explain.Request, flag, value string) {
	t.Helper()
	switch flag {
	case "--instance":
		q.Instance = value
	case "--key":
		q.Key = value
	case "--at":
		q.At = value
	case "--last":
		n, err := strconv.Atoi(value)
		if err != nil {
			t.Fatal(err)
		}
		q.Last = n
	default:
		t.Fatalf("unknown flag %s", flag)
	}
}

func compare(t *testing.T, old *answer, text, asJSON []byte) {
	t.Helper()
	mine := bytes.Split(bytes.TrimSpace(asJSON), []byte("\n"))
	if len(mine) != len(old.JSON) {
		t.Errorf("%d lines of JSON instead of %d", len(mine), len(old.JSON))
	}
	for i := range min(len(mine), len(old.JSON)) {
		same(t, fmt.Sprintf("line %d", i+1), old.JSON[i], mine[i])
	}
	for _, word := range told(old.Text) {
		if !strings.Contains(string(text), word) {
			t.Errorf("the text no longer says %s", word)
		}
	}
}

// words are a time of day, or the name of an instance of the old run.
var words = regexp.MustCompile(`\b\d\d:\d\d:\d\d\b|\bquickstart-[0-9a-f]+-\d+\b`)

func told(text string) []string {
	found := words.FindAllString(text, -1)
	slices.Sort(found)
	return slices.Compact(found)
}
