package ec2

import (
	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
)

// view is what the API shows of an instance now. It may lag behind the truth, as the model says.
type view struct {
	state     ec2State
	lifecycle string
	member    bool // of the group
	hidden    bool // nothing is known of it yet, or a list omits it
}

// views returns what the API shows of the group's instances.
func (c *call) views(g *group) (map[*instance]view, error) {
	list, listed := g.model.List(c.elapsed(), nil)
	c.delay += listed.Delay
	if listed.Failure.Failed() {
		return nil, ofModel(c.service, listed.Failure)
	}
	shown := make(map[uint64]cloudmodel.State, len(list))
	for _, l := range list {
		shown[l.Number] = l.State
	}
	all := make(map[*instance]view, len(g.launched))
	for _, in := range g.launched {
		state, listed := shown[in.number]
		all[in] = in.view(state, listed)
	}
	return all, nil
}

// view compares the truth with the state that the model's list shows.
func (in *instance) view(state cloudmodel.State, listed bool) view {
	v := view{state: in.state, lifecycle: in.lifecycle, member: in.member}
	switch {
	case !listed:
		v.hidden = in.state != terminated
	case state == cloudmodel.Creating && in.state > pending:
		v.state, v.lifecycle, v.member = pending, lifePending, true
	case state == cloudmodel.Running && in.state > running:
		v.state, v.lifecycle, v.member = running, lifeInService, true
	case in.state == terminated:
		v.state, v.lifecycle, v.member = shuttingDown, lifeTerminating, true
	}
	return v
}

// allViews returns what EC2 shows of all instances, by their ids.
func (c *call) allViews() (map[string]*instance, map[*instance]view, error) {
	byID, views := map[string]*instance{}, map[*instance]view{}
	for _, g := range c.all {
		some, err := c.views(g)
		if err != nil {
			return nil, nil, err
		}
		for in, v := range some {
			if !v.hidden {
				byID[in.id], views[in] = in, v
			}
		}
	}
	return byID, views, nil
}
