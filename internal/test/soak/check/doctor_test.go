package check

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

// doctoring spoils one thing in a history that is good. It reports whether there was something to spoil; r picks which.
type doctoring struct {
	name, rule string
	spoil      func(h *History, r *rand.Rand) bool
}

// spot is an entry of a record.
type spot struct{ record, entry int }

func (h *History) spots(want func(record.Entry) bool) (found []spot) {
	for i, r := range h.Records {
		for n, e := range r.Entries {
			if want(e) {
				found = append(found, spot{i, n})
			}
		}
	}
	return found
}

func (h *History) at(s spot) *record.Entry { return &h.Records[s.record].Entries[s.entry] }

func (h *History) insert(s spot, e record.Entry) {
	e.Instance = h.Records[s.record].Instance
	h.Records[s.record].Entries = slices.Insert(h.Records[s.record].Entries, s.entry, e)
}

func (h *History) remove(s spot) {
	h.Records[s.record].Entries = slices.Delete(h.Records[s.record].Entries, s.entry, s.entry+1)
}

func pick[T any](r *rand.Rand, all []T) (one T, ok bool) {
	if len(all) == 0 {
		return one, false
	}
	return all[r.IntN(len(all))], true
}

func is(kind record.Event) func(record.Entry) bool {
	return func(e record.Entry) bool { return e.Event == kind }
}

// entries are the indices of the log that are as wanted.
func (h *History) entries(want func(Entry) bool) (found []int) {
	for i, e := range h.Log {
		if want(e) {
			found = append(found, i)
		}
	}
	return found
}

func (h *History) find(key string, event Event) *Entry {
	for i := range h.Log {
		if h.Log[i].Key == key && h.Log[i].Event == event {
			return &h.Log[i]
		}
	}
	return nil
}

// finished are the starts of commands whose jobs were told their own exit code.
func (h *History) finished() []spot {
	return h.spots(func(e record.Entry) bool {
		told := h.find(e.Key, Told)
		return e.Event == record.CommandStart && told != nil && told.Code != nil && *told.Code == 0
	})
}

// endOf is where a command's end stands.
func (h *History) endOf(start spot) (end spot, ok bool) {
	number := h.at(start).Exec
	all := h.spots(func(e record.Entry) bool {
		return e.Event == record.CommandEnd && e.Exec == number && e.Instance == h.at(start).Instance
	})
	if len(all) == 0 {
		return end, false
	}
	return all[0], true
}

// seen are the statuses and the instances in them that are as wanted.
func (h *History) seen(want func(StatusInstance) bool) (found []*StatusInstance) {
	for i := range h.Log {
		if s := h.Log[i].Status; s != nil {
			for n := range s.Instances {
				if want(s.Instances[n]) {
					found = append(found, &s.Instances[n])
				}
			}
		}
	}
	return found
}

func isLeased(i StatusInstance) bool { return len(i.Leases) > 0 }

// doctorings are at least one for each rule, each of which must be found in every history that it can be applied to.
var doctorings = []doctoring{
	{"a second job on a slot that is taken", "slot", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.finished())
		if !ok {
			return false
		}
		intruder := *h.at(at)
		intruder.Key, intruder.Exec = "intruder", 1000
		h.insert(spot{at.record, at.entry + 1}, intruder)
		return true
	}},
	{"a command that ends after the next has begun", "slot", func(h *History, r *rand.Rand) bool {
		var pairs [][2]spot
		for _, a := range h.finished() {
			for _, b := range h.spots(is(record.CommandStart)) {
				end, ok := h.endOf(a)
				if ok && a.record == b.record && end.entry < b.entry && h.at(a).Slot == h.at(b).Slot {
					pairs = append(pairs, [2]spot{end, b})
				}
			}
		}
		pair, ok := pick(r, pairs)
		if !ok {
			return false
		}
		end := *h.at(pair[0])
		h.insert(spot{pair[1].record, pair[1].entry + 1}, end)
		h.remove(pair[0])
		return true
	}},
	{"a use beyond the last", "uses", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.spots(is(record.CommandStart)))
		if ok {
			h.at(at).Use = itoa(h.Log[0].Limits.MaxUses + 1)
		}
		return ok
	}},
	{"the same use twice", "uses", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.spots(func(e record.Entry) bool { return e.Event == record.CommandStart && e.Use != "1" }))
		if !ok {
			return false
		}
		first := slices.IndexFunc(h.Records[at.record].Entries, func(e record.Entry) bool { return e.Event == record.CommandStart && e.Use == "1" })
		if first >= 0 {
			h.at(at).Use = "1"
		}
		return first >= 0
	}},
	{"more jobs than uses", "uses", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.spots(is(record.Booted)))
		for i := range h.Log[0].Limits.MaxUses + 1 {
			if ok {
				h.insert(spot{at.record, at.entry + 1}, record.Entry{Event: record.CommandStart, Exec: 2000 + uint64(i), Key: "x" + itoa(i), Slot: "0", Use: "1"})
			}
		}
		return ok
	}},
	{"a slot that does not exist", "capacity", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.spots(is(record.CommandStart)))
		if ok {
			h.at(at).Slot = itoa(h.Log[0].Limits.Capacity)
		}
		return ok
	}},
	{"more jobs than slots", "capacity", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.spots(is(record.Booted)))
		for i := range h.Log[0].Limits.Capacity + 1 {
			if ok {
				h.insert(spot{at.record, at.entry + 1}, record.Entry{Event: record.CommandStart, Exec: 3000 + uint64(i), Key: "y" + itoa(i), Slot: "0", Use: "1"})
			}
		}
		return ok
	}},
	{"more instances than allowed", "group", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.spots(is(record.Created)))
		for i := range h.Log[0].Limits.MaxInstances {
			if ok {
				h.Records = append(h.Records, Record{Instance: "more" + itoa(i), Entries: []record.Entry{
					{Event: record.Created, Instance: "more" + itoa(i), Time: h.at(at).Time},
					{Event: record.Deleted, Instance: "more" + itoa(i), Time: h.Log[len(h.Log)-1].Time},
				}})
			}
		}
		return ok
	}},
	{"a busy instance is asked to go", "busy", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.finished())
		if !ok {
			return false
		}
		// What stands after it is wrong too, but the question is whether this is found.
		h.insert(spot{at.record, at.entry + 1}, record.Entry{Event: record.Deleting, Time: h.at(at).Time})
		return true
	}},
	{"a job runs twice", "once", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.finished())
		if !ok {
			return false
		}
		again := *h.at(at)
		again.Exec = 4000
		end, _ := h.endOf(at)
		h.insert(spot{end.record, end.entry + 1}, record.Entry{Event: record.CommandEnd, Exec: 4000, ExitCode: new(int), Time: h.at(end).Time})
		h.insert(spot{end.record, end.entry + 1}, again)
		return true
	}},
	{"a success that never ran", "told", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.finished())
		if !ok {
			return false
		}
		if end, ok := h.endOf(at); ok {
			h.remove(end)
		}
		h.remove(at)
		return true
	}},
	{"a success that was a failure", "told", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.finished())
		if !ok {
			return false
		}
		end, ok := h.endOf(at)
		if ok {
			h.at(end).ExitCode = code(7)
		}
		return ok
	}},
	{"another job's output", "told", func(h *History, r *rand.Rand) bool {
		return h.spoilTold(r, func(e *Entry) { e.Output = "something else\n" }, 0)
	}},
	{"an exit code from nowhere", "told", func(h *History, r *rand.Rand) bool {
		return h.spoilTold(r, func(e *Entry) { e.Code = code(124) }, 0)
	}},
	{"a lease that is lost without a cause", "told", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, slices.DeleteFunc(h.finished(), func(s spot) bool { return h.suffered(h.Records[s.record]) }))
		if ok {
			*h.find(h.at(at).Key, Told).Code = codeLost
		}
		return ok
	}},
	{"a refusal of what ran", "told", func(h *History, r *rand.Rand) bool {
		return h.spoilTold(r, func(e *Entry) { e.Code = code(codeRefused) }, 0)
	}},
	{"a refusal while a manager served", "told", func(h *History, r *rand.Rand) bool {
		last := h.Log[len(h.Log)-1].Time
		i, ok := pick(r, h.entries(func(e Entry) bool { return e.Event == Told && e.Code != nil && *e.Code == codeRefused }))
		if ok {
			h.find(h.Log[i].Key, Asked).Time, h.Log[i].Time = last.Add(time.Hour), last.Add(2*time.Hour)
		}
		return ok
	}},
	{"a job that hears nothing", "told", func(h *History, r *rand.Rand) bool {
		i, ok := pick(r, h.entries(func(e Entry) bool { return e.Event == Told && e.Code != nil }))
		if ok {
			h.Log = slices.Delete(h.Log, i, i+1)
		}
		return ok
	}},
	{"the slot of a killed client is used again", "abandoned", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.spots(func(e record.Entry) bool {
			return e.Event == record.CommandStart && h.find(e.Key, ClientKilled) != nil
		}))
		if !ok {
			return false
		}
		next := *h.at(at)
		next.Key, next.Exec = "next", 5000
		end, ok := h.endOf(at)
		if ok {
			h.insert(spot{end.record, end.entry + 1}, next)
		}
		return ok
	}},
	{"a lease that status forgets", "lease", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.seenRunning())
		if ok {
			at.Leases = nil
		}
		return ok
	}},
	{"a lease that status puts on another instance", "lease", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.seenRunning())
		if ok {
			at.ID = "elsewhere"
		}
		return ok
	}},
	{"a release that is forgotten", "lease", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.finished())
		if !ok {
			return false
		}
		h.Log = slices.Insert(h.Log, len(h.Log)-1, Entry{Event: StatusAnswered, Time: h.Log[len(h.Log)-1].Time, Status: &Status{
			Asked: h.Log[len(h.Log)-1].Time, Instances: []StatusInstance{{ID: h.Records[at.record].Instance, State: "ready", Uses: h.Log[0].Limits.MaxUses,
				Leases: []StatusLease{{Key: h.at(at).Key}}}},
		}})
		return true
	}},
	{"work for an instance on its way out", "retired", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.finished())
		if !ok {
			return false
		}
		h.Log = slices.Insert(h.Log, 1, Entry{Event: StatusAnswered, Time: h.Log[0].Time, Status: &Status{
			Asked: h.Log[0].Time, Instances: []StatusInstance{{ID: h.Records[at.record].Instance, State: "draining", Uses: 1}},
		}})
		return true
	}},
	{"a slot that is leased twice", "status", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.seen(isLeased))
		if ok {
			at.Leases = append(at.Leases, StatusLease{Key: "other", Slot: at.Leases[0].Slot})
		}
		return ok
	}},
	{"a lease that nobody asked for", "status", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.seen(isLeased))
		if ok {
			at.Leases[0].Key = "nobody"
		}
		return ok
	}},
	{"a lease on an instance that goes", "status", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.seen(isLeased))
		if ok {
			at.State = "deleting"
		}
		return ok
	}},
	{"uses that are forgotten", "status", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.seenRunning())
		if ok {
			at.Uses = 0
		}
		return ok
	}},
	{"uses beyond the last", "status", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.seen(func(StatusInstance) bool { return true }))
		if ok {
			at.Uses = h.Log[0].Limits.MaxUses + 1
		}
		return ok
	}},
	{"an instance that nobody made", "status", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.seen(func(i StatusInstance) bool { return !isLeased(i) }))
		if ok {
			at.ID = "nobody's"
		}
		return ok
	}},
	{"an instance that is gone and lives", "status", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.seenRunning())
		if ok {
			at.State = "gone"
		}
		return ok
	}},
	{"an instance that is ready and never booted", "status", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.seen(func(i StatusInstance) bool { return i.State == "ready" }))
		if !ok {
			return false
		}
		for _, s := range h.spots(is(record.Booted)) {
			if h.Records[s.record].Instance == at.ID {
				h.remove(s)
				return true
			}
		}
		return false
	}},
	{"a manager that ends by itself", "manager", func(h *History, r *rand.Rand) bool {
		i, ok := pick(r, h.entries(func(e Entry) bool { return e.Event == ManagerKilled || e.Event == ManagerStopped }))
		if ok {
			h.Log = slices.Delete(h.Log, i, i+1)
		}
		return ok
	}},
	{"a stop that fails", "manager", func(h *History, r *rand.Rand) bool {
		i, ok := pick(r, h.entries(func(e Entry) bool { return e.Event == ManagerEnded && e.Code != nil }))
		if ok {
			h.Log[i].Code = code(1)
		}
		return ok
	}},
	{"an instance that is left", "left", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.spots(is(record.Deleted)))
		if ok {
			h.remove(at)
		}
		return ok
	}},
	{"a process that is left", "left", func(h *History, _ *rand.Rand) bool {
		h.Log[len(h.Log)-1].Left.Processes = []string{"12 sleep"}
		return true
	}},
	{"a create that is left", "left", func(h *History, _ *rand.Rand) bool {
		h.Log[len(h.Log)-1].Left.Intents = []string{"create 7"}
		return true
	}},
	{"no end", "left", func(h *History, _ *rand.Rand) bool {
		h.Log = h.Log[:len(h.Log)-1]
		return true
	}},
	{"a command after the service", "record", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.spots(is(record.Deleted)))
		if ok {
			h.insert(at, record.Entry{Event: record.CommandStart, Exec: 6000})
			if h.at(spot{at.record, at.entry - 1}).Event != record.Deleting {
				h.insert(at, record.Entry{Event: record.Deleting})
			}
		}
		return ok
	}},
	{"two commands of one number", "record", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.finished())
		if ok {
			h.insert(spot{at.record, at.entry + 1}, *h.at(at))
		}
		return ok
	}},
	{"an end without a beginning", "record", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.finished())
		if ok {
			h.remove(at)
		}
		return ok
	}},
	{"two ends of an instance", "record", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.spots(func(e record.Entry) bool { return e.Event.Ends() }))
		if ok {
			h.insert(at, *h.at(at))
		}
		return ok
	}},
	{"another instance's line", "record", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.spots(func(record.Entry) bool { return true }))
		if ok {
			h.at(at).Instance = "other"
		}
		return ok
	}},
	{"a job that nobody asked for", "record", func(h *History, r *rand.Rand) bool {
		at, ok := pick(r, h.spots(is(record.CommandStart)))
		if ok {
			h.at(at).Key = "stranger"
		}
		return ok
	}},
}

// spoilTold changes the answer of a job that was told this code.
func (h *History) spoilTold(r *rand.Rand, spoil func(*Entry), exit int) bool {
	i, ok := pick(r, h.entries(func(e Entry) bool { return e.Event == Told && e.Code != nil && *e.Code == exit }))
	if ok {
		spoil(&h.Log[i])
	}
	return ok
}

// suffered reports whether an outer cause ended the instance.
func (h *History) suffered(r Record) bool {
	bad := []record.Event{record.Reclaiming, record.Reclaimed, record.Died, record.Vanished, record.Expired}
	return slices.ContainsFunc(r.Entries, func(e record.Entry) bool { return slices.Contains(bad, e.Event) }) ||
		slices.ContainsFunc(h.Log, func(e Entry) bool { return e.Instance == r.Instance })
}

// seenRunning are the instances of statuses with a lease whose command ran all the time that the status took, and ended well.
func (h *History) seenRunning() (found []*StatusInstance) {
	for i := range h.Log {
		s := h.Log[i].Status
		if s == nil {
			continue
		}
		for _, at := range h.finished() {
			end, ok := h.endOf(at)
			if !ok || h.at(at).Time.After(s.Asked) || h.at(end).Time.Before(h.Log[i].Time) {
				continue
			}
			if in := s.instance(h.Records[at.record].Instance); in != nil {
				found = append(found, in)
			}
		}
	}
	return found
}
