package pains

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/explain"
	"github.com/taskscaler/taskscaler/internal/explain/explaintest"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

const sec = time.Second

// script is one pain.
type script struct {
	*explaintest.Rig
	t        *testing.T
	commands []scaler.Command // all commands that were carried out
}

// begin starts a manager with the policy. edit changes the configuration.
func begin(t *testing.T, s policy.Settings, edit ...func(*scaler.Config)) *script {
	t.Helper()
	return follow(t, explain.Options{}, s, edit...)
}

func follow(t *testing.T, o explain.Options, s policy.Settings, edit ...func(*scaler.Config)) *script {
	t.Helper()
	return watch(t, explaintest.New(t, explaintest.Config(s, edit...), o))
}

func watch(t *testing.T, r *explaintest.Rig) *script {
	p := &script{Rig: r, t: t}
	r.Answer = func(cmd scaler.Command, ev *scaler.Event) int {
		p.commands = append(p.commands, cmd)
		return cmd.Count
	}
	return p
}

// cloudSays sets the answers to commands of one kind. Other commands succeed.
func (p *script) cloudSays(kind scaler.CommandKind, f func(cmd scaler.Command, ev *scaler.Event) int) {
	p.Answer = func(cmd scaler.Command, ev *scaler.Event) int {
		p.commands = append(p.commands, cmd)
		if cmd.Kind == kind {
			return f(cmd, ev)
		}
		return cmd.Count
	}
}

func (p *script) count(kind scaler.CommandKind, id record.ID) (n int) {
	for _, c := range p.commands {
		if c.Kind == kind && (id == "" || c.ID == id) {
			n += max(c.Count, 1)
		}
	}
	return n
}

func (p *script) want(what string, got, want any) {
	p.t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		p.t.Errorf("%v: %s: %s, want %s", p.Now.Mono-time.Hour, what, g, w)
	}
}

func (p *script) sum() scaler.Summary { return p.Core.Summary() }

// on is the instance of key's lease.
func (p *script) on(key record.Key) record.ID {
	id, _, _ := p.Core.Lease(key)
	return id
}

// says expects a record of this kind whose sentence, outcome and chain, joined, match pattern.
func (p *script) says(kind explain.Kind, pattern string) {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	var all []string
	for _, r := range p.History.Records() {
		if r.Kind != kind {
			continue
		}
		text := told(r)
		if re.MatchString(text) {
			return
		}
		all = append(all, text)
	}
	p.t.Errorf("no %s says %q; they say\n%s", kind, pattern, strings.Join(all, "\n"))
}

// silent expects that there is no record of this kind.
func (p *script) silent(kind explain.Kind) {
	p.t.Helper()
	for _, r := range p.History.Records() {
		if r.Kind == kind {
			p.t.Errorf("unexpected: %s", told(r))
		}
	}
}

func told(r *explain.Record) string {
	parts := []string{r.Sentence, r.Outcome}
	for _, l := range r.Chain {
		parts = append(parts, l.Sentence)
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " | ")
}
