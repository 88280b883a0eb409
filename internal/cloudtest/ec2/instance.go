package ec2

import (
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
)

// The states of EC2, in the order in which an instance goes through them.
type ec2State int

const (
	pending ec2State = iota
	running
	shuttingDown
	terminated
)

// code and name are as EC2 answers them.
func (s ec2State) code() int { return [...]int{0, 16, 32, 48}[s] }
func (s ec2State) name() string {
	return [...]string{"pending", "running", "shutting-down", "terminated"}[s]
}

// The lifecycle states of Auto Scaling that this server uses by itself.
const (
	lifePending     = "Pending"
	lifeInService   = "InService"
	lifeTerminating = "Terminating"
	lifeStandby     = "Standby"

	healthy   = "Healthy"
	unhealthy = "Unhealthy"
)

// instance is one instance, in what EC2 and Auto Scaling know about it.
type instance struct {
	id       string
	number   uint64 // of the model
	group    *group
	image    *Image
	kind     string // instance type
	key      *keyPair
	template *templateVersion
	subnet   subnet
	private  string
	public   string
	v6       string
	tags     []tag

	state      ec2State
	launched   time.Duration
	ran        time.Duration // since when it runs
	ended      time.Duration // when it was terminated
	reason     stateReason
	transition string
	impaired   bool // the status checks fail
	retirement time.Duration
	killAt     time.Duration // after an interruption notice; 0: never
	password   []byte        // encrypted
	plain      string        // password

	member    bool // of the group
	lifecycle string
	health    string
	protected bool
	activity  *activity // that is under way for it
	dueHealth time.Duration

	spot    *spotRequest
	machine Machine
}

type stateReason struct {
	Code    string `xml:"code"`
	Message string `xml:"message"`
}

// newInstance makes the instance that the model gave the number n.
func (g *group) newInstance(n uint64, at time.Duration) *instance {
	s := g.server
	zone := s.numbers % len(s.network.subnets)
	if len(g.zones) > 0 {
		zone = g.zones[s.numbers%len(g.zones)]
	}
	in := &instance{
		id: fmt.Sprintf("i-%017x", cloudID(g.cfg.Seed, g.name, n)), number: n, group: g, subnet: s.network.subnets[zone],
		launched: at, member: true, lifecycle: lifePending, health: healthy, protected: g.cfg.ProtectNew, retirement: cloudmodel.Never,
	}
	in.private, in.public, in.v6 = addresses(s.numbers/len(s.network.subnets), zone)
	if !g.cfg.PublicIP {
		in.public = ""
	}
	if !g.cfg.IPv6 {
		in.v6 = ""
	}
	s.numbers++
	in.template = g.launchVersion()
	in.image, in.key, in.kind = s.images[in.template.data.image()], s.keys[in.template.data.KeyName], in.template.data.InstanceType
	in.tags = append([]tag{{"aws:autoscaling:groupName", g.name}}, g.launchTags()...)
	in.tags = append(in.tags, in.template.tags("instance")...)
	if in.template.data.spot() || g.cfg.Spot {
		in.spot = &spotRequest{id: fmt.Sprintf("sir-%s", in.id[len(in.id)-8:]), state: "active", code: "fulfilled", updated: at,
			message: "Your Spot request is fulfilled."}
	}
	s.instances[in.id] = in
	return in
}

// cloudID is a number that looks like those in ids, and is the same for the same seed.
func cloudID(seed uint64, name string, n uint64) uint64 {
	h := seed ^ 0xcbf29ce484222325
	for _, b := range []byte(name) {
		h = (h ^ uint64(b)) * 0x100000001b3
	}
	return uint64(cloudmodel.Uniform(h, cloudmodel.StreamReady, n)*(1<<48))<<12 | n&0xfff
}

// event is one change that the model made.
func (in *instance) event(e cloudmodel.Event) {
	switch e.Kind {
	case cloudmodel.BecameRunning:
		in.becomeRunning(e.At)
	case cloudmodel.BootFailed:
		in.health = unhealthy
		in.impaired = true
		in.noticed(e.At)
	case cloudmodel.ReclaimBegan:
		in.reclaim(e.At)
	case cloudmodel.WasReclaimed, cloudmodel.Died, cloudmodel.WasDeleted:
		in.end(e)
	}
}

func (in *instance) becomeRunning(at time.Duration) {
	if in.state != pending {
		return
	}
	in.state, in.ran = running, at
	in.boot()
	if in.member && in.lifecycle == lifePending {
		in.lifecycle = lifeInService
		in.activity.finish(in.group.server.at(at))
		in.activity = nil
	}
}

// boot boots the machine of an instance.
func (in *instance) boot() {
	s := in.group.server
	in.setPassword()
	if s.cfg.Machines == nil {
		return
	}
	spec := MachineSpec{IP: in.private, User: in.image.User}
	if in.key != nil && in.key.public != "" {
		spec.AuthorizedKeys = []string{in.key.public}
	}
	m, err := s.cfg.Machines.Boot(in.id, spec)
	if err != nil {
		s.cfg.Log.Error("a machine did not boot", "instance", in.id, "error", err)
		in.impaired = true
		return
	}
	in.machine = m
}

// reclaim is the announcement that AWS takes the instance back: a spot interruption notice, or the retirement of the host.
func (in *instance) reclaim(at time.Duration) {
	if in.spot == nil {
		in.retirement = at
		return
	}
	in.spot.code, in.spot.updated = "marked-for-termination", at
	in.spot.message = "Your Spot Instance is marked for termination."
}

// end is when the instance does not exist any more.
func (in *instance) end(e cloudmodel.Event) {
	s := in.group.server
	in.state, in.ended = terminated, e.At
	if in.transition == "" {
		in.transition = fmt.Sprintf("Service initiated (%s)", s.at(e.At).UTC().Format("2006-01-02 15:04:05 MST"))
		in.reason = stateReason{"Server.InternalError", "Server.InternalError: Internal error on launch"}
		if in.spot != nil && in.spot.code == "marked-for-termination" {
			in.reason = stateReason{"Server.SpotInstanceTermination", "Server.SpotInstanceTermination: Spot instance termination"}
		}
	}
	if in.spot != nil {
		in.spot.end(e.At, in.reason.Code)
	}
	if m := in.machine; m != nil {
		in.machine = nil
		s.busy.Go(m.Stop) // it may wait for processes
	}
	in.noticed(e.At)
	if in.lifecycle == lifeTerminating {
		in.leave(e.At)
	}
}

// leave takes the instance out of its group.
func (in *instance) leave(at time.Duration) {
	in.member = false
	in.activity.finish(in.group.server.at(at))
	in.activity = nil
}

// noticed sets when the group will see that the instance is not healthy.
func (in *instance) noticed(at time.Duration) { in.dueHealth = at + in.group.cfg.Reaction }

// stop asks the model to delete the instance.
func (in *instance) stop(c *call, at time.Duration) error {
	if in.state >= shuttingDown {
		return nil
	}
	answer := in.group.model.Delete(at, in.number)
	service := serviceAutoScaling
	if c != nil {
		c.delay += answer.Delay
		service = c.service
	}
	if answer.Failure.Failed() {
		return ofModel(service, answer.Failure)
	}
	in.state = shuttingDown
	in.reason = stateReason{"Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown"}
	in.transition = fmt.Sprintf("User initiated (%s)", in.group.server.at(at).UTC().Format("2006-01-02 15:04:05 MST"))
	in.noticed(at)
	return nil
}
