// Package transcript executes the commands that stand in a document, and checks that they print what stands below them.
package transcript

import (
	"fmt"
	"strings"
)

// Step is one command with the output that the document shows.
type Step struct {
	Command string
	Shown   []string // lines; "…" stands for any text
}

// Find returns the steps of the first console block below a heading of a document in Markdown.
func Find(document, heading string) ([]Step, error) {
	_, below, found := strings.Cut(document, "\n"+heading+"\n")
	if !found {
		return nil, fmt.Errorf("the document has no heading %q", heading)
	}
	if section, _, more := strings.Cut("\n"+below, "\n## "); more {
		below = section
	}
	_, block, found := strings.Cut(below, "```console\n")
	block, _, closed := strings.Cut(block, "```")
	if !found || !closed {
		return nil, fmt.Errorf("below %q there is no console block", heading)
	}
	var steps []Step
	for line := range strings.SplitSeq(strings.TrimSuffix(block, "\n"), "\n") {
		command, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case isCommand:
			steps = append(steps, Step{Command: command})
		case len(steps) == 0:
			return nil, fmt.Errorf("the block begins with %q, which is no command", line)
		default:
			last := &steps[len(steps)-1]
			last.Shown = append(last.Shown, line)
		}
	}
	return steps, nil
}

// mark begins the line before the output of a step.
const mark = "\x02step "

// Script returns a script for bash that executes the steps and ends with the first that fails. Its output is for Check.
func Script(steps []Step) string {
	var b strings.Builder
	b.WriteString("set -euo pipefail\n")
	for i, s := range steps {
		fmt.Fprintf(&b, "printf '\\n%s%d\\n'\n%s\n", mark, i, s.Command)
	}
	return b.String()
}

// Check compares what the script printed with what the document shows. Each line that is shown was printed, in this order; other lines may be between them.
func Check(steps []Step, printed string) error {
	for i, s := range steps {
		_, own, ran := strings.Cut(printed, fmt.Sprintf("\n%s%d\n", mark, i))
		if !ran {
			return fmt.Errorf("`%s` was not executed", s.Command)
		}
		own, _, _ = strings.Cut(own, "\n"+mark)
		lines := strings.Split(own, "\n")
		for _, want := range s.Shown {
			at := 0
			for at < len(lines) && !matches(lines[at], want) {
				at++
			}
			if at == len(lines) {
				return fmt.Errorf("`%s` did not print %q, it printed\n%s", s.Command, want, own)
			}
			lines = lines[at+1:]
		}
	}
	return nil
}

// matches reports whether a line is as it is shown.
func matches(line, shown string) bool {
	parts := strings.Split(shown, "…")
	if len(parts) == 1 {
		return line == shown
	}
	line, ok := strings.CutPrefix(line, parts[0])
	for _, part := range parts[1:] {
		var found bool
		_, line, found = strings.Cut(line, part)
		ok = ok && found
	}
	return ok && (parts[len(parts)-1] == "" || line == "")
}
