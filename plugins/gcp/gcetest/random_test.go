package gcetest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
)

// randomModel is a cloud in which much goes wrong, for an hour.
func randomModel(r *rand.Rand) cloudmodel.Config {
	modes := []string{cloudmodel.FailTimeout, cloudmodel.FailVanish, cloudmodel.FailDie}
	hour := cloudmodel.Window{Until: cloudmodel.D(time.Hour)}
	return cloudmodel.Config{
		Boot: cloudmodel.LogNormal(30*time.Second, 2*time.Minute), Delete: cloudmodel.Exponential(20 * time.Second),
		BootFailure:   cloudmodel.BootFailure{Probability: 0.2, Mode: modes[r.IntN(3)], After: cloudmodel.Constant(40 * time.Second)},
		DeleteFailure: cloudmodel.CallFailure{Probability: 0.2},
		StockOut:      cloudmodel.StockOut{Windows: []cloudmodel.Window{{From: cloudmodel.D(20 * time.Minute), Until: cloudmodel.D(30 * time.Minute)}}},
		CreateErrors:  []cloudmodel.CreateError{{CallFailure: cloudmodel.CallFailure{Probability: 0.3, Kind: "quota"}, Window: hour}},
		Partial:       cloudmodel.Partial{Probability: 0.3},
		List:          cloudmodel.List{Lag: cloudmodel.D(time.Duration(r.IntN(3)) * 7 * time.Second)},
	}
}

// What people, Google and a client do in any order leads to a group of its target size, and on the way the group counts right.
func TestAnythingMayHappen(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { t.Parallel(); anything(t, seed) })
	}
}

func anything(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	now := newClock()
	g := GroupConfig{Name: "ci", Region: region, TargetSize: r.IntN(5), Model: randomModel(r), Seed: seed, Spot: r.IntN(2) == 0, SameID: r.IntN(2) == 0,
		Reaction: time.Duration(r.IntN(2)) * 5 * time.Second, Autohealing: r.IntN(2) == 0, Verify: time.Minute}
	s, err := Start(Config{Now: now.now, Groups: []GroupConfig{g}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for range 120 {
		now.forward(time.Duration(r.IntN(60)) * time.Second)
		something(s, r)
		check(t, s)
	}
	for _, z := range []string{zoneA, zoneB} {
		if err := s.StockOut(z, false); err != nil {
			t.Fatal(err)
		}
	}
	for range 60 {
		now.forward(10 * time.Minute)
		check(t, s)
	}
	truth := must(s.State(region, "ci"))
	for _, in := range truth.Instances {
		if in.Action != none || in.Status != running {
			t.Errorf("seed %d: after hours the instance %+v", seed, in)
		}
	}
}

// something is one random act. That it may be impossible is no fault.
func something(s *Server, r *rand.Rand) {
	truth, _ := s.State(region, "ci")
	if len(truth.Instances) == 0 || r.IntN(4) == 0 {
		_ = s.onGroup(region, "ci", func(g *group) error {
			g.resize(s.elapsed(), r.IntN(8))
			return nil
		})
		return
	}
	in := truth.Instances[r.IntN(len(truth.Instances))]
	switch r.IntN(8) {
	case 0:
		_ = s.DeleteInstance(in.Zone, in.Name)
	case 1:
		_ = s.Preempt(in.Zone, in.Name)
	case 2:
		_ = s.HostError(in.Zone, in.Name)
	case 3:
		_ = s.StopInstance(in.Zone, in.Name)
	case 4:
		_ = s.Repair(in.Zone, in.Name)
	case 5:
		_ = s.StockOut(in.Zone, r.IntN(2) == 0)
	default:
		s.mu.Lock()
		c := &call{Server: s, method: "regionInstanceGroupManagers.deleteInstances", vars: map[string]string{"region": region, "instance_group_manager": "ci"}}
		list := names{s.link("zones/" + in.Zone + "/instances/" + in.Name)}
		if r.IntN(2) == 0 {
			_, _ = c.abandonInstances(list)
		} else {
			_, _ = c.deleteInstances(list)
		}
		s.advance()
		s.mu.Unlock()
	}
}

type names []string

func (n names) GetInstances() []string { return n }

// check checks what always holds.
func check(t *testing.T, s *Server) {
	t.Helper()
	truth := must(s.State(region, "ci"))
	counting, seen := 0, map[string]bool{}
	for _, in := range truth.Instances {
		if seen[in.Name] {
			t.Fatalf("two instances have the name %s", in.Name)
		}
		seen[in.Name] = true
		if in.Action != deleting && in.Action != abandoning {
			counting++
		}
	}
	if counting != truth.TargetSize {
		t.Fatalf("the target size is %d, %d members count: %+v", truth.TargetSize, counting, truth.Instances)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, in := range s.all() {
		if _, exists := in.group.model.State(in.number); !exists && in.status != terminated && in.status != gone {
			t.Fatalf("%s is %s, and not in the model", in.name, in.status)
		}
	}
	c := &call{Server: s}
	if _, err := c.managed(s.groups["regions/"+region+"/instanceGroupManagers/ci"]); err != nil {
		t.Fatal(err)
	}
}

// A thousand instances come and go without a delay that a test would notice.
func TestAThousandInstances(t *testing.T) {
	now := newClock()
	model := cloudmodel.Config{Boot: cloudmodel.LogNormal(30*time.Second, 2*time.Minute), Delete: cloudmodel.Exponential(20 * time.Second)}
	r := newRig(t, zonal(GroupConfig{Model: model, Paginated: true}, now))
	began := time.Now()
	r.resize(1000)
	for range 60 {
		now.forward(10 * time.Second)
		r.Advance()
	}
	list := r.managed()
	for _, m := range list {
		if m.GetInstanceStatus() != running {
			t.Fatalf("%v", m)
		}
	}
	if n := r.Calls()["instanceGroupManagers.listManagedInstances"]; len(list) != 1000 || n != 2 {
		t.Errorf("%d members in %d calls", len(list), n)
	}
	r.resize(0)
	now.forward(time.Hour)
	r.want("")
	t.Logf("it took %s", time.Since(began))
	if _, err := r.groups.Resize(r.ctx, &computepb.ResizeInstanceGroupManagerRequest{Project: project, Zone: zoneA, InstanceGroupManager: "ci", Size: 1001}); err == nil {
		t.Error("a group of 1001 was accepted")
	}
}
