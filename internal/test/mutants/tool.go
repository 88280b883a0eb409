package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/scanner"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// gremlins is the other tool, with its version. It can run no test command but go test. So it only lists its mutants (a dry run), and this
// program builds and runs them.
const gremlins = "github.com/go-gremlins/gremlins/cmd/gremlins@v0.6.0"

// survivorsPath is relative to the module's root. The file explains each of the tool's mutants that nothing finds.
const survivorsPath = "internal/test/mutants/survivors.txt"

// toolMutant is one mutant of the tool.
type toolMutant struct {
	File   string
	Type   string
	Line   int
	Column int
}

// toolReport is the format of the tool's report.
type toolReport struct {
	Files []struct {
		Name      string `json:"file_name"`
		Mutations []struct {
			Type   string `json:"type"`
			Status string `json:"status"`
			Line   int    `json:"line"`
			Column int    `json:"column"`
		} `json:"mutations"`
	} `json:"files"`
}

// parseToolReport returns the mutants of a dry run that are covered by a test, in the order of the source.
func parseToolReport(text []byte) ([]toolMutant, error) {
	var r toolReport
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("the tool's report: %w", err)
	}
	var all []toolMutant
	for _, f := range r.Files {
		for _, m := range f.Mutations {
			if m.Status == "RUNNABLE" {
				all = append(all, toolMutant{f.Name, m.Type, m.Line, m.Column})
			}
		}
	}
	slices.SortFunc(all, func(a, b toolMutant) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Type, b.Type))
	})
	return all, nil
}

// operators say how each type of the tool's default mutants changes a token, according to its documentation.
var operators = map[string]map[token.Token]token.Token{
	"ARITHMETIC_BASE": {token.ADD: token.SUB, token.SUB: token.ADD, token.MUL: token.QUO, token.QUO: token.MUL, token.REM: token.MUL},
	"CONDITIONALS_BOUNDARY": {
		token.GEQ: token.GTR, token.GTR: token.GEQ, token.LEQ: token.LSS, token.LSS: token.LEQ,
	},
	"CONDITIONALS_NEGATION": {
		token.EQL: token.NEQ, token.NEQ: token.EQL, token.GEQ: token.LSS, token.LSS: token.GEQ, token.GTR: token.LEQ, token.LEQ: token.GTR,
	},
	"INCREMENT_DECREMENT": {token.INC: token.DEC, token.DEC: token.INC},
	"INVERT_NEGATIVES":    {token.SUB: token.ADD},
}

// mutate returns src with the mutant in it.
func (m *toolMutant) mutate(src []byte) ([]byte, error) {
	fset := token.NewFileSet()
	file := fset.AddFile(m.File, -1, len(src))
	var s scanner.Scanner
	s.Init(file, src, nil, 0)
	for {
		pos, tok, _ := s.Scan()
		if tok == token.EOF {
			return nil, fmt.Errorf("%s: there is no token at this place", m)
		}
		if p := fset.Position(pos); p.Line != m.Line || p.Column != m.Column {
			continue
		}
		to, ok := operators[m.Type][tok]
		if !ok {
			return nil, fmt.Errorf("%s: this type of mutant is unknown for %q", m, tok)
		}
		at := file.Offset(pos)
		return slices.Concat(src[:at], []byte(to.String()), src[at+len(tok.String()):]), nil
	}
}

// String is the mutant and its position.
func (m *toolMutant) String() string {
	return fmt.Sprintf("%s:%d:%d %s", m.File, m.Line, m.Column, m.Type)
}

// key identifies the mutant by the text of its line, so that an explanation remains valid when lines above it change.
func (m *toolMutant) key(src []byte) string {
	lines := strings.Split(string(src), "\n")
	if m.Line < 1 || m.Line > len(lines) {
		return m.String()
	}
	line := lines[m.Line-1]
	indent := len(line) - len(strings.TrimLeft(line, "\t"))
	return fmt.Sprintf("%s %s %d: %s", m.File, m.Type, m.Column-indent, strings.TrimSpace(line))
}

// ask lists the tool's mutants of a room.
func (b *bench) ask(ctx context.Context, room string) ([]toolMutant, error) {
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	report := filepath.Join(dir, "report.json")
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	out, err := b.command(ctx, b.root, "go", "run", gremlins, "unleash", "--dry-run", "--silent", "--output", report, "./"+room)
	if err != nil {
		return nil, fmt.Errorf("the tool failed on %s: %w\n%s", room, err, tail(out, 25))
	}
	text, err := os.ReadFile(report)
	if err != nil {
		return nil, err
	}
	all, err := parseToolReport(text)
	for i := range all { // the tool gives paths from the module's root, or from the room
		if _, err := os.Stat(filepath.Join(b.root, all[i].File)); err != nil {
			all[i].File = filepath.Join(room, all[i].File)
		}
	}
	return all, err
}

func toolAll(ctx context.Context, o *options, _ []*patch) error {
	b, err := newBench(o.root, o.seeds)
	if err != nil {
		return err
	}
	explained, err := readSurvivors(filepath.Join(o.root, survivorsPath))
	if err != nil {
		return err
	}
	if err := b.check(ctx, suiteDST); err != nil {
		return err
	}
	var all []toolMutant
	rooms := []string{"internal/scaler", "internal/fleet", "pkg/policy"}
	for n, room := range rooms {
		mutants, err := b.ask(ctx, room)
		if err != nil {
			return err
		}
		share := (o.mutants - len(all)) / (len(rooms) - n)
		all = append(all, mutants[:min(share, len(mutants))]...)
	}
	return tryTool(ctx, o, b, all, explained)
}

func tryTool(ctx context.Context, o *options, b *bench, all []toolMutant, explained map[string]string) error {
	tally := map[verdict]int{}
	var unexplained []string
	each(o.jobs, len(all), func(n int) toolResult { return b.tryMutant(ctx, &all[n]) }, func(n int, r toolResult) {
		tally[r.verdict]++
		fmt.Fprintf(o.out, "%-58s %-14s %s %.0fs\n", &all[n], r.verdict, foundWords(r.result), r.took.Seconds())
		if r.verdict != survived {
			return
		}
		if why := explained[r.key]; why != "" {
			fmt.Fprintf(o.out, "    %s\n", why)
			return
		}
		unexplained = append(unexplained, r.key)
	})
	fmt.Fprintf(o.out, "tool: %d mutants, %d killed, %d do not build, %d survived, of which %d without an explanation\n", len(all),
		tally[killed]+tally[hangs]+tally[broken], tally[notBuilt], tally[survived], len(unexplained))
	if len(unexplained) > 0 {
		return fmt.Errorf("explain in %s, or find with a test:\n%s", survivorsPath, strings.Join(unexplained, "\n"))
	}
	return nil
}

// toolResult is the outcome of one of the tool's mutants.
type toolResult struct {
	result
	key string
}

// tryMutant runs the unit tests, and if they pass, the simulation.
func (b *bench) tryMutant(ctx context.Context, m *toolMutant) (r toolResult) {
	began := time.Now()
	defer func() { r.took = time.Since(began) }()
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return toolResult{result: result{verdict: doesNotFit, output: err.Error()}}
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(b.root, m.File)
	src, err := os.ReadFile(path)
	if err != nil {
		return toolResult{result: result{verdict: doesNotFit, output: err.Error()}}
	}
	r.key = m.key(src)
	text, err := m.mutate(src)
	to := filepath.Join(dir, filepath.Base(m.File))
	if err := errors.Join(err, os.WriteFile(to, text, 0o644)); err != nil {
		r.result = result{verdict: doesNotFit, output: err.Error()}
		return r
	}
	overlay, err := writeOverlay(dir, map[string]string{path: to})
	if err != nil {
		r.result = result{verdict: doesNotFit, output: err.Error()}
		return r
	}
	if r.result = b.units(ctx, overlay, filepath.Dir(m.File)); r.verdict != passes {
		return r
	}
	bin, err := b.build(ctx, suiteDST, dir, overlay)
	if err != nil {
		r.result = result{verdict: notBuilt, output: err.Error()}
		return r
	}
	r.result = b.try(ctx, suiteDST, bin)
	return r
}

// readSurvivors reads pairs of lines: the mutant's key, then, indented, the reason why nothing finds it.
func readSurvivors(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	all, key := map[string]string{}, ""
	for n, line := range strings.Split(string(text), "\n") {
		switch {
		case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#"):
		case line[0] != '\t':
			if key != "" && all[key] == "" {
				return nil, fmt.Errorf("%s: %q has no explanation: write one on the next line, after a tab", path, key)
			}
			key = line
		case key == "":
			return nil, fmt.Errorf("%s:%d: an explanation without a mutant above it", path, n+1)
		default:
			all[key] = strings.TrimSpace(all[key] + " " + strings.TrimSpace(line))
		}
	}
	if key != "" && all[key] == "" {
		return nil, fmt.Errorf("%s: %q has no explanation: write one on the next line, after a tab", path, key)
	}
	return all, nil
}
