package dst

import (
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// ledgerWorld is a world whose latest committed state is this one. Its life began at second 100 of the wall clock, its batch is at second 200.
func ledgerWorld(saved record.Saved) *world {
	w := &world{saved: saved, cover: &coverage{}}
	w.lifeWall, w.walls = int64(100*time.Second), []int64{int64(200 * time.Second)}
	w.fed = 1
	return w
}

// TestLedgerOfInstances: what may change between two records of one instance, and what may not.
func TestLedgerOfInstances(t *testing.T) {
	sec := func(n int) int64 { return int64(n) * int64(time.Second) }
	from := record.Instance{ID: "i-1", Serial: 7, State: record.Ready, Origin: record.Created, Uses: 3, CreatedAt: sec(50), StateAt: sec(60),
		ReadyAt: sec(60), IdleAt: sec(61), Leases: []record.Lease{{Key: "a", Slot: 1, At: sec(62)}}}
	for name, c := range map[string]struct {
		change func(r *record.Instance)
		wrong  bool
	}{
		"nothing":                      {func(*record.Instance) {}, false},
		"one more use":                 {func(r *record.Instance) { r.Uses++ }, false},
		"one use less":                 {func(r *record.Instance) { r.Uses-- }, true},
		"it is retired now":            {func(r *record.Instance) { r.State, r.StateAt, r.Cause = record.Draining, sec(200), record.CauseIdle }, false},
		"it was retired at some time":  {func(r *record.Instance) { r.State, r.StateAt, r.Cause = record.Draining, sec(70), record.CauseIdle }, true},
		"another origin":               {func(r *record.Instance) { r.Origin = record.Adopted }, true},
		"another first time":           {func(r *record.Instance) { r.CreatedAt = 0 }, true},
		"ready at another time":        {func(r *record.Instance) { r.ReadyAt = sec(1) }, true},
		"idle now":                     {func(r *record.Instance) { r.IdleAt, r.Leases = sec(200), nil }, false},
		"idle at another time":         {func(r *record.Instance) { r.IdleAt = 0 }, true},
		"a lease from another time":    {func(r *record.Instance) { r.Leases = []record.Lease{{Key: "a", Slot: 1}} }, true},
		"a lease on another slot":      {func(r *record.Instance) { r.Leases = []record.Lease{{Key: "a", Slot: 2, At: sec(62)}} }, true},
		"another lease":                {func(r *record.Instance) { r.Leases = []record.Lease{{Key: "b", Slot: 1, At: sec(200)}} }, false},
		"a later instance":             {func(r *record.Instance) { r.Serial, r.CreatedAt, r.StateAt = 9, sec(200), sec(200) }, false},
		"an earlier instance":          {func(r *record.Instance) { r.Serial, r.CreatedAt, r.StateAt = 6, sec(200), sec(200) }, true},
		"a later one of an early time": {func(r *record.Instance) { r.Serial, r.CreatedAt, r.StateAt = 9, sec(50), sec(200) }, true},
	} {
		w := ledgerWorld(record.Saved{Meta: record.Meta{LastSerial: 8}, Instances: []record.Instance{from}})
		to := from
		c.change(&to)
		w.judgeLedger(&record.Changes{Put: []record.Instance{to}})
		if (w.broken != nil) != c.wrong {
			t.Errorf("%s: %v", name, w.broken)
		}
	}
	gone := from
	gone.State, gone.Cause, gone.DeleteAsked, gone.Leases = record.Deleting, record.CauseChangedHostKey, true, nil
	for name, c := range map[string]struct {
		change func(r *record.Instance)
		wrong  bool
	}{
		"confirmed":      {func(r *record.Instance) { r.State, r.StateAt = record.Gone, sec(200) }, false},
		"listed again":   {func(r *record.Instance) { r.Cause = record.CauseZombie }, false},
		"another cause":  {func(r *record.Instance) { r.Cause = record.CauseIdle }, true},
		"never sent":     {func(r *record.Instance) { r.DeleteAsked = false }, true},
		"back in future": {func(r *record.Instance) { r.StateAt = sec(300) }, true},
	} {
		w := ledgerWorld(record.Saved{Instances: []record.Instance{gone}})
		to := gone
		c.change(&to)
		w.judgeLedger(&record.Changes{Put: []record.Instance{to}})
		if (w.broken != nil) != c.wrong {
			t.Errorf("a deleted one, %s: %v", name, w.broken)
		}
	}
}

// TestLedgerOfTheGroup: counts of consecutive failures end only by a success, and the pause that they led to ends only by a success or a reload.
func TestLedgerOfTheGroup(t *testing.T) {
	from := record.Meta{Group: "g", LastSerial: 5, LastOp: 9, ThrottleTokens: 1, ThrottleAt: 10, Fruitless: 2, DiedYoung: 1, YoungSince: 20, Trials: 2,
		Refusals: 3, BackoffUntil: 1000, BackoffCause: record.CauseQuota}
	reload, created, booted := func(w *world) { w.reloaded = true }, func(w *world) { w.created = true }, func(w *world) { w.booted = true }
	for name, c := range map[string]struct {
		change func(m *record.Meta)
		why    func(w *world)
		wrong  bool
	}{
		"one more of each":        {func(m *record.Meta) { m.LastOp++; m.LastSerial++; m.Fruitless++; m.DiedYoung++; m.Refusals++ }, nil, false},
		"another group":           {func(m *record.Meta) { m.Group = "" }, nil, true},
		"an earlier serial":       {func(m *record.Meta) { m.LastSerial-- }, nil, true},
		"an earlier number":       {func(m *record.Meta) { m.LastOp = 0 }, nil, true},
		"tokens without a create": {func(m *record.Meta) { m.ThrottleTokens = 0 }, nil, true},
		"no refusals":             {func(m *record.Meta) { m.Refusals = 0 }, nil, true},
		"a create worked":         {func(m *record.Meta) { m.Refusals, m.BackoffUntil, m.BackoffCause = 0, 0, record.CauseNone }, created, false},
		"a reload":                {func(m *record.Meta) { m.Refusals, m.Trials, m.BackoffUntil = 0, 0, 0 }, reload, false},
		"no failed boots":         {func(m *record.Meta) { m.Fruitless = 0 }, nil, true},
		"a boot worked":           {func(m *record.Meta) { m.Fruitless = 0 }, booted, false},
		"no tries":                {func(m *record.Meta) { m.Trials = 0 }, nil, true},
		"one early failure less":  {func(m *record.Meta) { m.DiedYoung, m.YoungSince = 2, 30 }, nil, true},
		"all survived":            {func(m *record.Meta) { m.DiedYoung, m.Fruitless, m.Trials, m.BackoffUntil = 0, 0, 0, 0 }, nil, false},
		"the pause ends early":    {func(m *record.Meta) { m.BackoffUntil = 900 }, nil, true},
		"the pause is longer":     {func(m *record.Meta) { m.BackoffUntil, m.BackoffCause = 2000, record.CauseConfig }, nil, false},
		"another cause":           {func(m *record.Meta) { m.BackoffCause = record.CauseConfig }, nil, true},
	} {
		w := ledgerWorld(record.Saved{Meta: from})
		if c.why != nil {
			c.why(w)
		}
		to := from
		c.change(&to)
		w.judgeLedger(&record.Changes{Meta: &to})
		if (w.broken != nil) != c.wrong {
			t.Errorf("%s: %v", name, w.broken)
		}
	}
}

// TestRestoredOracle: a core that was made of another state than the committed one is noticed, whichever field differs.
func TestRestoredOracle(t *testing.T) {
	saved := record.Saved{
		Meta: record.Meta{Group: "g", LastSerial: 4, LastOp: 9, Fruitless: 1, DiedYoung: 1, Refusals: 2, BackoffUntil: 1 << 60, BackoffCause: record.CauseQuota},
		Instances: []record.Instance{{ID: "i-1", Serial: 4, State: record.Ready, Origin: record.Created, Uses: 2, CreatedAt: 10, StateAt: 20, ReadyAt: 20, IdleAt: 30,
			Leases: []record.Lease{{Key: "a", Slot: 1, At: 40}}}},
		Intents: []record.Intent{{Op: 9, Asked: 2, Open: 1, Doubt: 1, At: 50, Answered: true}},
	}
	for name, change := range map[string]func(s *record.Saved){
		"nothing":         func(*record.Saved) {},
		"the serial":      func(s *record.Saved) { s.Instances[0].Serial = 3 },
		"the origin":      func(s *record.Saved) { s.Instances[0].Origin = record.Adopted },
		"the uses":        func(s *record.Saved) { s.Instances[0].Uses = 1 },
		"its first time":  func(s *record.Saved) { s.Instances[0].CreatedAt = 0 },
		"its state":       func(s *record.Saved) { s.Instances[0].State = record.Draining },
		"its leases":      func(s *record.Saved) { s.Instances[0].Leases[0].At = 0 },
		"the instance":    func(s *record.Saved) { s.Instances = nil },
		"the create":      func(s *record.Saved) { s.Intents[0].Doubt = 0 },
		"all creates":     func(s *record.Saved) { s.Intents = nil },
		"failed boots":    func(s *record.Saved) { s.Meta.Fruitless = 0 },
		"refused creates": func(s *record.Saved) { s.Meta.Refusals = 0 },
		"the pause":       func(s *record.Saved) { s.Meta.BackoffUntil = 0 },
		"its cause":       func(s *record.Saved) { s.Meta.BackoffCause = record.CauseConfig },
	} {
		w := &world{saved: saved, cover: &coverage{}, now: scaler.Time{Mono: began, Wall: time.Unix(0, 100)}}
		w.lifeWall = 100
		other := cloneState(&saved)
		change(&other)
		core, err := scaler.New(scaler.Config{Capacity: 2, Schedule: compile(policy.Policy{})}, other, true, w.now)
		if err != nil {
			t.Fatal(err)
		}
		w.real = core
		if w.judgeRestored(); (w.broken != nil) != (name != "nothing") {
			t.Errorf("%s differs: %v", name, w.broken)
		}
	}
}
