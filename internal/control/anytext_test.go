package control_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/internal/control/controltest"
)

// A name that could forge a line of the log or of the status is refused, in every request that has one, and the refusal does not repeat it.
func TestNamesThatCannotBeUsed(t *testing.T) {
	m := controltest.New(1)
	c, _, _ := serve(t, m)
	for _, name := range []string{"", "a\nlevel=ERROR msg=forged", "\x1b[2J", "a\u202eb", strings.Repeat("x", 10000)} {
		requests := map[string]error{
			"release":   c.Release(within(t), control.ReleaseRequest{Key: name}),
			"reserve":   c.Reserve(within(t), control.ReserveRequest{Key: name}),
			"unreserve": c.Reserve(within(t), control.ReserveRequest{Key: name, Cancel: true}),
		}
		for _, mode := range []control.Mode{control.ModeAcquire, control.ModeReattach, control.ModeResume} {
			_, requests[string(mode)] = c.Lease(within(t), control.LeaseRequest{Key: name, Holder: "h", Mode: mode})
		}
		if name != "" { // selects the only runner, or all
			_, requests["status of a runner"] = c.Status(within(t), name)
			requests["drain of a runner"] = c.Drain(within(t), name)
			requests["undrain of a runner"] = c.Undrain(within(t), name)
			_, requests["acquire on a runner"] = c.Lease(within(t), control.LeaseRequest{Key: "k", Runner: name, Holder: "h", Mode: control.ModeAcquire})
			requests["release on a runner"] = c.Release(within(t), control.ReleaseRequest{Key: "k", Runner: name})
			requests["reserve on a runner"] = c.Reserve(within(t), control.ReserveRequest{Key: "k", Runner: name})
			_, requests["mode"] = c.Lease(within(t), control.LeaseRequest{Key: "k", Holder: "h", Mode: control.Mode(name)})
		}
		for request, err := range requests {
			if !errors.Is(err, &control.APIError{Code: control.CodeBadRequest}) {
				t.Errorf("%s of %.20q: %v", request, name, err)
			} else if text := err.Error(); len(text) > 300 || strings.ContainsAny(text, "\n\x1b\u202e") {
				t.Errorf("%s of %.20q is refused with %.400q", request, name, text)
			}
		}
	}
	if _, err := c.Lease(within(t), control.LeaseRequest{Key: "k", Holder: strings.Repeat("h", 10000), Mode: control.ModeAcquire}); !errors.Is(err, &control.APIError{Code: control.CodeBadRequest}) {
		t.Errorf("a holder of 10 kB: %v", err)
	}
	if calls := m.Calls(); len(calls) != 0 {
		t.Errorf("the manager was asked: %.200q", calls)
	}
}

// A caller's reason is any text. It reaches the manager as one bounded line.
func TestReasonOfAnyBytes(t *testing.T) {
	m := controltest.New(1)
	c, _, _ := serve(t, m)
	s := open(t, c, acquire("job", "h"))
	next(t, s)
	reason := "the disk\nlevel=ERROR msg=\x1b[2Jforged " + strings.Repeat("x", 10000) + " is full"
	if err := c.Release(within(t), control.ReleaseRequest{Key: "job", Unhealthy: control.UnhealthyUnreachable, Reason: reason}); err != nil {
		t.Fatal(err)
	}
	got := m.Reason("job")
	if !strings.HasPrefix(got, `the disk level=ERROR msg=\x1b[2Jforged xx`) || !strings.HasSuffix(got, "xx is full") || len(got) > 512 {
		t.Errorf("the reason arrived as %q", got)
	}
}
