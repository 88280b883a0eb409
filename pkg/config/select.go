package config

import (
	"fmt"
	"strconv"
	"strings"
)

// SelectError says that no runner, or more than one, is what was asked for.
type SelectError struct {
	Asked  string   // as it was given; empty: all
	Reason string   // why there is no answer
	Exist  []string // the file's autoscaling runners, as they can be asked for
}

// Error names what was asked for, the reason and what exists.
func (e *SelectError) Error() string {
	what := "no runner to manage"
	if e.Asked != "" {
		what = fmt.Sprintf("runner %q", e.Asked)
	}
	exist := "the file has no autoscaling runner"
	if len(e.Exist) > 0 {
		exist = "autoscaling runners of the file: " + strings.Join(e.Exist, "; ")
	}
	return what + ": " + e.Reason + "; " + exist
}

// Select returns the runners that nameOrID means: all autoscaling ones for "", else the one of that name, of that id or, for a number
// that is neither, at that position counted from 1. An error is a [*SelectError].
func (f *File) Select(nameOrID string) ([]Runner, error) {
	if nameOrID == "" {
		all := f.autoscaling()
		if len(all) == 0 {
			return nil, f.cannot("", "no [[runners]] has a [runners.autoscaler] section")
		}
		return all, nil
	}
	found := f.matching(nameOrID)
	if len(found) > 1 {
		places := make([]string, len(found))
		for i, r := range found {
			places[i] = strconv.Itoa(r.Index)
		}
		return nil, f.cannot(nameOrID, fmt.Sprintf("%d runners have it: choose by id, or by position (%s)", len(found), strings.Join(places, ", ")))
	}
	switch {
	case len(found) == 0:
		return nil, f.cannot(nameOrID, "there is none with this name, id or position")
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
