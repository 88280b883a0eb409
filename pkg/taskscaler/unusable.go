package taskscaler

import (
	"log/slog"

	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// unusable are the entries of a list whose ids cannot be used: see provider.CheckID. They do not spoil the list of the others.
type unusable struct {
	count int
	first string // quoted and cut
	why   string // what is wrong with the first
}

func (u *unusable) add(id string, why error) {
	if u.count++; u.count == 1 {
		u.first, u.why = safetext.Quote(id), why.Error()
	}
}

// maxDoubts is how many lists in a row are refused because of ids that cannot be used.
const maxDoubts = 10

// doubter decides about lists with ids that cannot be used. A known instance that a list lacks may be one of them: a plugin that garbles ids
// must not make a fleet look lost. So a list is refused if it lacks a known instance and has more such ids than the accepted list before. After
// maxDoubts such lists in a row it counts: the ids are somebody else's, or a person has had the time to read the log.
type doubter struct {
	log      *slog.Logger
	accepted unusable // of the last accepted list
	doubts   int      // refused lists in a row
}

// judge returns an error for a list that is refused. lacks reports whether the list lacks a known instance.
func (d *doubter) judge(bad unusable, lacks func() bool) error {
	if bad.count > d.accepted.count && d.doubts < maxDoubts && lacks() {
		d.doubts++
		return provider.Errorf(provider.KindConfig, "the list lacks known instances and has %d whose ids cannot be used; the first id %s: "+
			"this is a bug in the plugin, update or report it", bad.count, bad.why)
	}
	if bad != d.accepted && bad.count > 0 {
		d.log.Warn("the provider lists instances whose ids cannot be used; they are neither counted nor used nor deleted: delete them in the provider's "+
			"console, or report a bug in the plugin", "count", bad.count, "first", bad.first, "problem", "the id "+bad.why)
	}
	d.accepted, d.doubts = bad, 0
	return nil
}

// lacks reports whether list lacks an instance of the list before, or for the first list one of the store.
func (o *observer) lacks(list []found) bool {
	listed := make(map[record.ID]bool, len(list))
	for i := range list {
		listed[list[i].id] = true
	}
	for id := range o.diff.known {
		if !listed[id] {
			return true
		}
	}
	if !o.first {
		for id := range o.t.restored {
			if !listed[id] {
				return true
			}
		}
	}
	return false
}
