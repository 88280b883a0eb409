package taskscaler

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// abandoned are the calls that did not return although their contexts had ended. Nobody waits for them any more, but each holds a goroutine
// and perhaps the provider. So their number is limited, and there is at most one for each instance and kind.
type abandoned struct {
	log *slog.Logger

	mu  sync.Mutex
	all []*running // oldest first
}

// running is one call.
type running struct {
	kind     callKind
	id       string // the instance; empty: the whole group
	since    time.Time
	left, in bool // abandoned; returned
}

func (c *running) effort() effort { return effort{callLimits[c.kind].name, record.ID(c.id)} }

// admit returns an error if no further call of this kind may start.
func (a *abandoned) admit(kind callKind, id string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, c := range a.all {
		if c.kind != kind {
			continue
		}
		if n++; id != "" && c.id == id {
			return provider.Errorf(provider.KindTransient, "%w: an earlier call of %s for instance %s has not returned since its context ended at %s",
				provider.ErrAway, callLimits[kind].name, id, c.since.Format(time.RFC3339))
		}
	}
	if most := callLimits[kind].abandoned; n >= most {
		return provider.Errorf(provider.KindTransient, "%w: %d earlier calls of %s have not returned although their contexts have ended, and no other is made "+
			"until one returns: restart the manager, and report this to the author of the plugin", provider.ErrAway, n, callLimits[kind].name)
	}
	return nil
}

// add records that the caller of c no longer waits for it, and logs that.
func (a *abandoned) add(c *running) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.in {
		return
	}
	c.left, c.since = true, time.Now().Add(-returnGrace)
	a.all = append(a.all, c)
	a.log.Warn("a call to the provider does not return although its context has ended; it is given up, and other calls go on",
		append(c.effort().attrs(), "abandoned", len(a.all))...)
}

// returned records that c has returned after the time took.
func (a *abandoned) returned(c *running, took time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c.in = true
	if !c.left {
		return
	}
	a.all = slices.DeleteFunc(a.all, func(x *running) bool { return x == c })
	a.log.Info("a call to the provider that was given up has returned; its result is ignored",
		append(c.effort().attrs(), "took", took.Round(time.Second), "abandoned", len(a.all))...)
}

// UnansweredStatus is about calls of one kind that do not return although their contexts have ended. The manager no longer waits for them.
type UnansweredStatus struct {
	Call  string    `json:"call"`  // method of the provider, or "the preparation"
	Count int       `json:"count"` // calls that have not returned
	Since time.Time `json:"since"` // when the context of the oldest one ended
}

// String returns the status as a sentence.
func (s UnansweredStatus) String() string {
	return fmt.Sprintf("%s does not return: %d since %s", s.Call, s.Count, s.Since.Format(time.RFC3339))
}

// status returns one entry per kind.
func (a *abandoned) status() []UnansweredStatus {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []UnansweredStatus
	for _, c := range a.all {
		name := callLimits[c.kind].name
		n := slices.IndexFunc(out, func(s UnansweredStatus) bool { return s.Call == name })
		if n < 0 {
			out, n = append(out, UnansweredStatus{Call: name, Since: c.since}), len(out)
		}
		out[n].Count++
	}
	return out
}
