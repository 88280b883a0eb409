package gcetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
)

const (
	firstRetry = 10 * time.Second
	lastRetry  = 5 * time.Minute
)

// group is a managed instance group.
type group struct {
	server  *Server
	name    string
	place   string // zones/ZONE or regions/REGION
	id      uint64
	created time.Duration
	cfg     GroupConfig
	zones   []*zone
	spec    *computepb.InstanceGroupManager // as it was inserted and patched
	version int                             // of spec
	model   *cloudmodel.Cloud
	events  []cloudmodel.Event

	target   int
	members  []*member // in the order of their creation
	ghosts   []*member // that lists may still show
	byNumber map[uint64]*instance
	named    uint64 // how many names were made
	errors   []*computepb.InstanceManagedByIgmError
	faults   []OperationFault // of the next creates
}

const maxErrors = 200

func (g *group) path() string { return g.place + "/instanceGroupManagers/" + g.name }

// template is the path of the group's instance template.
func (g *group) template() *computepb.InstanceTemplate {
	link := g.spec.GetInstanceTemplate()
	if v := g.spec.GetVersions(); link == "" && len(v) > 0 {
		link = v[0].GetInstanceTemplate()
	}
	return g.server.templates[g.server.unlink(link)]
}

// newGroup makes a group without instances.
func (s *Server) newGroup(place string, spec *computepb.InstanceGroupManager, cfg GroupConfig) (*group, error) {
	setDefault(&cfg.Retry, firstRetry)
	g := &group{server: s, name: spec.GetName(), place: place, cfg: cfg, spec: spec, byNumber: map[uint64]*instance{}, created: s.elapsed()}
	switch {
	case g.name == "":
		return nil, errors.New("the group has no name")
	case s.groups[g.path()] != nil:
		return nil, fmt.Errorf("there is a group %q already", g.path())
	}
	var err error
	if g.model, err = cloudmodel.New(cfg.Model, cfg.Seed); err != nil {
		return nil, fmt.Errorf("the model of the group %q: %w", g.name, err)
	}
	if g.zones, err = s.zonesOf(place, spec); err != nil {
		return nil, err
	}
	g.id = cloudID(g.path(), cfg.Seed)
	g.model.Advance(g.created, nil)
	s.groups[g.path()] = g
	return g, nil
}

// zonesOf returns the zones of a group at a place.
func (s *Server) zonesOf(place string, spec *computepb.InstanceGroupManager) ([]*zone, error) {
	var names []string
	for _, z := range spec.GetDistributionPolicy().GetZones() {
		names = append(names, z.GetZone()[strings.LastIndex(z.GetZone(), "/")+1:])
	}
	kind, name, _ := strings.Cut(place, "/")
	switch {
	case kind == "zones":
		names = []string{name}
	case len(names) == 0:
		names = s.cfg.Regions[name]
	}
	var list []*zone
	for _, n := range names {
		z := s.zone(n)
		if kind == "zones" && z == nil {
			return nil, fmt.Errorf("there is no %s", place)
		}
		if z == nil || kind == "regions" && z.region != name {
			return nil, invalid("Invalid value for field 'resource.distributionPolicy.zones': '%s'. It is no zone of %s.", n, place)
		}
		list = append(list, z)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("there is no %s", place)
	}
	return list, nil
}

// counting are the members that count for the target size.
func (g *group) counting() []*member {
	return slices.DeleteFunc(slices.Clone(g.members), func(m *member) bool { return m.action == deleting || m.action == abandoning })
}

// resize changes the target size, and the members with it.
func (g *group) resize(at time.Duration, size int) {
	g.target = size
	list := g.counting()
	for range size - len(list) {
		g.add(at, "")
	}
	over := len(list) - size
	if over <= 0 {
		return
	}
	// First those that do not run, then the newest.
	slices.Reverse(list)
	slices.SortStableFunc(list, func(a, b *member) int { return a.worth() - b.worth() })
	for _, m := range list[:over] {
		m.act(deleting, at+g.cfg.Reaction)
	}
}

// add adds a member whose instance will be created, in the zone that has the fewest.
func (g *group) add(at time.Duration, name string) *member {
	if name == "" {
		name = g.newName()
	}
	m := &member{group: g, zone: g.bestZone(), name: name, created: at}
	m.act(creating, at+g.cfg.Reaction)
	g.members = append(g.members, m)
	return m
}

// even is the shape of a regional group whose zones have equally many instances, also when one of them has no capacity.
const even = "EVEN"

func (g *group) shape() string { return first(g.spec.GetDistributionPolicy().GetTargetShape(), even) }

// bestZone is the zone that has the fewest members.
func (g *group) bestZone() *zone {
	count := map[*zone]int{}
	for _, m := range g.counting() {
		count[m.zone]++
	}
	shape := g.shape()
	worse := func(a, b *zone) bool { return count[a] > count[b] }
	if shape != even {
		worse = func(a, b *zone) bool {
			return a.stockOut && !b.stockOut || a.stockOut == b.stockOut && shape == "BALANCED" && count[a] > count[b]
		}
	}
	best := g.zones[0]
	for _, z := range g.zones {
		if worse(best, z) {
			best = z
		}
	}
	return best
}

// newName is the base name with four characters that are the same for the same seed.
func (g *group) newName() string {
	const letters = "0123456789bcdfghjklmnpqrstvwxz"
	for {
		g.named++
		x := uint64(cloudmodel.Uniform(hash(g.path())^g.cfg.Seed, cloudmodel.StreamReady, g.named) * (1 << 40))
		name := g.spec.GetBaseInstanceName() + "-"
		for range 4 {
			name += string(letters[x%uint64(len(letters))])
			x /= uint64(len(letters))
		}
		if g.member(name) == nil {
			return name
		}
	}
}

func (g *group) member(name string) *member {
	for _, m := range g.members {
		if m.name == name {
			return m
		}
	}
	return nil
}

// next returns when something happens by itself.
func (g *group) next() time.Duration {
	at := cloudmodel.Never
	if t, due := g.model.Next(); due {
		at = t
	}
	for _, m := range g.members {
		at = min(at, m.due)
	}
	return at
}

// step plays what is due.
func (g *group) step(at time.Duration) {
	g.events = g.model.Advance(at, g.events[:0])
	for _, e := range g.events {
		if in := g.byNumber[e.Number]; in != nil {
			in.event(e)
		}
	}
	for _, m := range g.members {
		m.notice(at)
		if m.due <= at {
			m.step(at)
		}
	}
	g.create(at)
	g.members = slices.DeleteFunc(g.members, func(m *member) bool {
		if m.left && g.cfg.Model.List.Lag.Value() > 0 {
			m.created = at // since when it is a ghost
			g.ghosts = append(g.ghosts, m)
		}
		return m.left
	})
	lag := g.cfg.Model.List.Lag.Value()
	g.ghosts = slices.DeleteFunc(g.ghosts, func(m *member) bool { return m.created+2*lag < at })
}
