package ec2

import (
	"maps"
	"slices"
)

type (
	describeInstanceStatusInput struct {
		Filters     items[filter] `q:"Filter"`
		InstanceIDs items[string] `q:"InstanceId"`
		MaxResults  *int
		NextToken   string
		IncludeAll  bool `q:"IncludeAllInstances"`
	}
	describeInstanceStatusOutput struct {
		Statuses  items[statusXML] `xml:"instanceStatusSet"`
		NextToken string           `xml:"nextToken,omitempty"`
	}
	statusXML struct {
		ID       string          `xml:"instanceId"`
		Zone     string          `xml:"availabilityZone"`
		Events   items[eventXML] `xml:"eventsSet"`
		State    stateXML        `xml:"instanceState"`
		System   checkXML        `xml:"systemStatus"`
		Instance checkXML        `xml:"instanceStatus"`
	}
	eventXML struct {
		ID          string `xml:"instanceEventId"`
		Code        string `xml:"code"`
		Description string `xml:"description"`
		NotBefore   string `xml:"notBefore"`
	}
	checkXML struct {
		Status  string           `xml:"status"`
		Details items[detailXML] `xml:"details"`
	}
	detailXML struct {
		Name   string `xml:"name"`
		Status string `xml:"status"`
		Since  string `xml:"impairedSince,omitempty"`
	}
)

func describeInstanceStatus(c *call, in *describeInstanceStatusInput) (*describeInstanceStatusOutput, error) {
	given := in.InstanceIDs.List
	switch {
	case len(given) > 0 && in.MaxResults != nil:
		return nil, refuse("InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults")
	case len(given) > 100:
		return nil, refuse("InvalidParameterValue", "You may specify at most 100 instance IDs, not %d", len(given))
	}
	all, views, err := c.allViews()
	if err != nil {
		return nil, err
	}
	if err := checkIDs(given, func(id string) bool { return all[id] != nil }); err != nil {
		return nil, err
	}
	for id, i := range all {
		fits, err := matches(in.Filters.List, func(name string) ([]string, bool) { return i.statusAttributes(name, views[i]) })
		if err != nil {
			return nil, err
		}
		if !fits || !in.IncludeAll && views[i].state != running {
			delete(all, id)
		}
	}
	only := given
	if len(only) == 0 {
		only = slices.Collect(maps.Keys(all))
	}
	list, next, err := page(all, only, in.NextToken, in.MaxResults, c.limits(100, 5, 1000))
	if err != nil {
		return nil, err
	}
	out := &describeInstanceStatusOutput{NextToken: next}
	for _, i := range list {
		out.Statuses.List = append(out.Statuses.List, i.status(views[i]))
	}
	return out, nil
}

func (in *instance) status(v view) statusXML {
	s := in.group.server
	x := statusXML{ID: in.id, Zone: in.subnet.zone, State: stateXML{v.state.code(), v.state.name()}}
	word, detail := in.checks(v)
	x.System.Status, x.Instance.Status = word, word
	if detail != "" {
		x.Instance.Details.List = []detailXML{{Name: "reachability", Status: detail}}
		x.System.Details.List = []detailXML{{Name: "reachability", Status: detail}}
	}
	if in.impaired && v.state == running {
		x.System.Status, x.System.Details.List[0].Status = "ok", "passed"
		x.Instance.Details.List[0].Since = stamp(s.at(in.ran))
	}
	if v.state == running && in.retirement <= s.elapsed() {
		x.Events.List = []eventXML{{
			ID: "instance-event-0" + in.id[3:], Code: "instance-retirement",
			Description: "The instance is running on degraded hardware", NotBefore: stamp(s.at(in.retirement)),
		}}
	}
	return x
}

// checks is the word for the status checks, and the word for the one check that there is.
func (in *instance) checks(v view) (word, detail string) {
	switch {
	case v.state != running:
		return "not-applicable", ""
	case in.impaired:
		return "impaired", "failed"
	case in.group.server.elapsed() < in.ran+in.group.cfg.Checks:
		return "initializing", "initializing"
	}
	return "ok", "passed"
}

func (in *instance) statusAttributes(name string, v view) ([]string, bool) {
	word, _ := in.checks(v)
	switch name {
	case "instance-status.status", "system-status.status":
		return []string{word}, true
	case "instance-state-name":
		return []string{v.state.name()}, true
	case "availability-zone":
		return []string{in.subnet.zone}, true
	}
	return nil, false
}
