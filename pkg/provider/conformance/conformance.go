package conformance

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// Target is the group under test. It may have the methods of Reopener, Explainer, Orphaner and Leaver too.
type Target interface {
	// Open returns the first handle of the group. It calls Init once, with these settings.
	Open(ctx context.Context, settings provider.Settings) (Handle, error)
}

// Handle is a group after its Init. It may have the methods of Killer and Observer too.
type Handle interface {
	Group() provider.InstanceGroup
	Info() provider.ProviderInfo // what Init returned
	// Close calls Shutdown, and releases what Open acquired. The error is that of Shutdown.
	Close(ctx context.Context) error
}

// Reopener is a Target whose group can be opened again: it is the same group, with the same machines.
type Reopener interface {
	// Reopen is Open for a further handle. Another handle may be in use meanwhile.
	Reopen(ctx context.Context, settings provider.Settings) (Handle, error)
}

// Killer is a Handle that can be killed as kill -9 does it.
type Killer interface {
	// Kill ends the handle without Shutdown. Close is not called afterwards.
	Kill(ctx context.Context) error
}

// Orphaner is a Target that can show what a plugin does when its host dies.
type Orphaner interface {
	// Orphan opens the group in a process of its own host, kills the host, and returns when no process of that plugin is left. It waits a little for what is
	// just ending. An *OutlivedError says what is left nevertheless.
	Orphan(ctx context.Context) error
}

// OutlivedError is the error of Orphan if processes of the plugin have outlived their host.
type OutlivedError struct{ Left []string }

// Error names the processes.
func (e *OutlivedError) Error() string {
	return "it did not end when its host was killed: " + strings.Join(e.Left, ", ")
}

// Leaver is a Target that knows what a group leaves behind.
type Leaver interface {
	// Left returns what is left of the closed handles: processes, files. It waits a little for what is just ending.
	Left(ctx context.Context) ([]string, error)
}

// Explainer is a Target that can tell what the error of a call means.
type Explainer interface {
	// Explain says whether err means that the call panicked, that it did not return, or that the process died.
	Explain(err error) (Incident, bool)
}

// Observer is a Handle that sees more of the group than its answers.
type Observer interface {
	// Incidents returns what was seen so far.
	Incidents() []Incident
}

// Incident is something that a group did beside its answers.
type Incident struct {
	Kind IncidentKind
	Text string // e.g. what was printed
}

// IncidentKind says what happened.
type IncidentKind string

// The kinds of incidents.
const (
	Printed  IncidentKind = "printed"  // something that is no log record
	Panicked IncidentKind = "panicked" // in a call
	Stuck    IncidentKind = "stuck"    // the call did not return
	Died     IncidentKind = "died"     // although nobody ended it
)

// Options says how to run the checks. The zero value makes only the checks that change nothing.
type Options struct {
	Settings provider.Settings // for Open
	Live     bool              // make machines and remove them
	Fixed    bool              // with Live: the machines can be neither made nor removed, so only what leaves them as they are is checked
	Only     []string          // the ids of the checks to make; empty: all
	Machines int               // how many machines of its own the run may have at once; 0: 3. At least 2

	Timeout     time.Duration // how long a machine may take to appear, to run, or to be gone; 0: 10 m
	CallTimeout time.Duration // the deadline of each call; 0: 2 m
	Give        time.Duration // how long a call may take to return after its context has ended; 0: 1 m
	Poll        time.Duration // the longest pause between two lists while the run waits; 0: 2 s

	// Dial connects to a machine as the manager would. Nil: whether the connect info really connects is not checked.
	Dial func(ctx context.Context, info provider.ConnectInfo) error
	// Sicken makes a running machine unhealthy. Nil: only healthy ones are checked.
	Sicken func(ctx context.Context, g provider.InstanceGroup, id string) error
	// API stands between the group and the API of its cloud. Nil: faults of the API are not checked.
	API API
	// Settle is called between two lists instead of a pause: a modelled cloud advances its clock here.
	Settle func(ctx context.Context, g provider.InstanceGroup)
	// Began and Done are called before and after each check, in order. They may be nil.
	Began func(Check)
	Done  func(Result)
}

func (o Options) withDefaults() Options {
	if o.Machines == 0 {
		o.Machines = 3
	}
	o.Machines = max(o.Machines, 2)
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&o.Timeout, 10 * time.Minute}, {&o.CallTimeout, 2 * time.Minute}, {&o.Give, time.Minute}, {&o.Poll, 2 * time.Second}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	return o
}

// Check is one thing that is checked.
type Check struct {
	ID    string // in kebab-case
	Title string // what must be so
	Why   string // why it matters to the owner of a fleet
	Live  bool   // it makes or removes machines
}

// Status is the outcome of a check.
type Status string

// The outcomes.
const (
	Pass       Status = "pass"
	Fail       Status = "fail"
	Skip       Status = "skip"        // it cannot be made on this group
	NotReached Status = "not reached" // something else failed before
)

// ReasonNotLive is the reason of checks that are skipped because Options.Live is not set.
const ReasonNotLive = "it makes or removes machines, and the run is not live"

// Finding is one fault.
type Finding struct {
	Saw    string // what was seen
	Change string // what to change
}

// Result is the outcome of one check.
type Result struct {
	Check
	Status   Status
	Reason   string // of Skip and NotReached
	Findings []Finding
	Took     time.Duration
}

// Latency is how long the calls of one method took, and "boot" and "removal" how long machines took.
type Latency struct {
	Verb        string
	Calls       int
	Median, Max time.Duration
}

// Report is the outcome of a run.
type Report struct {
	Info         provider.ProviderInfo // what Init returned
	Capabilities []provider.Capability
	Results      []Result
	Latency      []Latency // in the order of the methods
	Left         []string  // ids of machines of the run, or that came without being asked for, which were still listed at its end
	Took         time.Duration
}

// Failed returns the ids of the checks that failed, in order.
func (r Report) Failed() (ids []string) {
	for _, res := range r.Results {
		if res.Status == Fail {
			ids = append(ids, res.ID)
		}
	}
	return ids
}

// Count returns how many checks have this outcome.
func (r Report) Count(s Status) (n int) {
	for _, res := range r.Results {
		if res.Status == s {
			n++
		}
	}
	return n
}

// Checks returns all checks in the order in which they are made.
func Checks() (all []Check) {
	for _, c := range checks() {
		all = append(all, c.Check)
	}
	return all
}

// Run makes the checks. It ends early when ctx ends or no machine ever comes; the machines that it made are removed in any case, as far as the group
// does it.
func Run(ctx context.Context, target Target, o Options) Report {
	s := newSession(ctx, target, o.withDefaults())
	began := time.Now()
	defer s.cancel()
	for _, c := range checks() {
		if len(s.o.Only) > 0 && !slices.Contains(s.o.Only, c.ID) && !c.always {
			continue
		}
		s.make(c)
	}
	s.judge()
	return s.report(time.Since(began))
}
