package config

import (
	"fmt"
	"strconv"
	"strings"
)

// SelectError says that no runner can be selected, and why.
type SelectError struct {
	Asked  string   // the name, id or position that was asked for; empty: all runners
	Reason string   // why no runner can be selected
	Exist  []string // the runners of the file that can be selected
}

// Error names what was asked for, the reason, and the runners that can be selected.
func (e *SelectError) Error() string {
	what := "there is no runner to manage"
	if e.Asked != "" {
		what = fmt.Sprintf("runner %q", e.Asked)
	}
	exist := "add this section to a runner of the file"
	if len(e.Exist) > 0 {
		exist = "choose one of: " + strings.Join(e.Exist, "; ")
	}
	return what + ": " + e.Reason + "; " + exist
}

// Select returns the runners that nameOrID selects. "" selects all runners with an autoscaler section. Another text selects the runner
// with this name, or else with this id, or else at this position in the file, starting at 1. An error is a [*SelectError].
func (f *File) Select(nameOrID string) ([]Runner, error) {
	if nameOrID == "" {
		all := f.autoscaling()
		if len(all) == 0 {
			return nil, f.cannot("", "no runner of the file has a [runners.autoscaler] section")
		}
		return all, nil
	}
	found := f.matching(nameOrID)
	if len(found) > 1 {
		places := make([]string, len(found))
		for i, r := range found {
			places[i] = strconv.Itoa(r.Index)
		}
		return nil, f.cannot(nameOrID, fmt.Sprintf("%d runners have it; use the id or the position (%s)", len(found), strings.Join(places, ", ")))
	}
	switch {
	case len(found) == 0:
		return nil, f.cannot(nameOrID, "no runner has this name, id or position")
	case found[0].Autoscaler == nil:
		return nil, f.cannot(nameOrID, "it has no [runners.autoscaler] section")
	}
	return found, nil
}

func (f *File) matching(text string) []Runner {
	position, err := strconv.Atoi(text)
	for _, match := range []func(Runner) bool{
		func(r Runner) bool { return r.Name == text },
		func(r Runner) bool { return r.ID == text },
		func(r Runner) bool { return err == nil && r.Index == position },
	} {
		var found []Runner
		for _, r := range f.Runners {
			if match(r) {
				found = append(found, r)
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

func (f *File) autoscaling() []Runner {
	var out []Runner
	for _, r := range f.Runners {
		if r.Autoscaler != nil {
			out = append(out, r)
		}
	}
	return out
}

func (f *File) cannot(asked, reason string) error {
	e := &SelectError{Asked: asked, Reason: reason}
	for _, r := range f.autoscaling() {
		text := fmt.Sprintf("%d: %q", r.Index, r.Name)
		if r.ID != "" {
			text += " (id " + r.ID + ")"
		}
		e.Exist = append(e.Exist, text)
	}
	return e
}
