package gcetest

import (
	"fmt"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
)

// The statuses of instances that this server uses.
const (
	provisioning = "PROVISIONING"
	staging      = "STAGING"
	running      = "RUNNING"
	stopping     = "STOPPING"
	repairing    = "REPAIRING"
	terminated   = "TERMINATED"
	gone         = "" // it does not exist any more
)

// Why an instance is stopping.
const (
	preempted = "preempted" // by Google
	stopped   = "stopped"   // by a person
	deleted   = "deleted"
)

// instance is one virtual machine.
type instance struct {
	server   *Server
	group    *group // whose model it is in
	member   *member
	id       uint64
	number   uint64 // of the model
	zone     *zone
	name     string
	internal string
	external string
	v6       string
	template *computepb.InstanceTemplate
	metadata *computepb.Metadata
	image    *Image

	status    string
	created   time.Duration
	stamped   time.Duration // creationTimestamp
	ran       time.Duration // since when it runs
	fate      cloudmodel.Fate
	broken    bool          // the boot failed
	ending    string        // why it is stopping
	stopAt    time.Duration // after a notice of preemption
	bootAt    time.Duration // after an error of the host
	agentAt   time.Duration // when the agent reads the metadata
	boots     int
	machine   Machine
	known     map[string]bool // lines of keys that the machine has
	attrs     map[string]string
	serial    map[int32]string
	passwords map[string]string // by user, of Windows
	answered  map[string]bool   // lines of windows-keys
}

func (in *instance) path() string { return "zones/" + in.zone.name + "/instances/" + in.name }

// newInstance makes the instance that the model gave the number n.
func (m *member) newInstance(n uint64, at time.Duration) *instance {
	g, s := m.group, m.group.server
	in := &instance{
		server: s, group: g, member: m, id: cloudID(g.path(), g.cfg.Seed<<20+n), number: n, zone: m.zone, name: m.name, template: g.template(),
		status: provisioning, created: at, fate: g.model.Fate(n), stopAt: cloudmodel.Never, bootAt: cloudmodel.Never, agentAt: cloudmodel.Never,
		known: map[string]bool{}, attrs: map[string]string{}, serial: map[int32]string{}, passwords: map[string]string{}, answered: map[string]bool{},
	}
	in.stamped = at
	if g.cfg.SameID && m.lastID != 0 {
		in.id, in.stamped = m.lastID, m.lastStamp
	}
	m.lastID, m.lastStamp = in.id, in.stamped
	in.internal, in.external, in.v6 = addresses(s.made, m.zone.number)
	s.made++
	in.metadata = proto.CloneOf(in.template.GetProperties().GetMetadata())
	if in.metadata == nil {
		in.metadata = &computepb.Metadata{}
	}
	by := fmt.Sprintf("projects/%d/", s.projectNumber())
	in.metadata.Items = append(in.metadata.Items, &computepb.Items{Key: proto.String("created-by"), Value: proto.String(by + g.path())},
		&computepb.Items{Key: proto.String("instance-template"), Value: proto.String(by + "global/instanceTemplates/" + in.template.GetName())})
	in.image = s.image(sourceImage(in.template))
	g.byNumber[n] = in
	return in
}

// firstNet is the second byte of the first internal address: 127.112.0.1. External addresses are 32 networks above.
const firstNet = 112

// addresses returns the addresses of the n-th instance. All are loopback addresses, but for IPv6 there is only one of those.
func addresses(n, zone int) (internal, external, v6 string) {
	at := func(second int) string { return fmt.Sprintf("127.%d.%d.%d", second+zone, n/250%256, n%250+1) }
	return at(firstNet), at(firstNet + 32), fmt.Sprintf("2600:1900:4010:%x::%x", zone+1, n+1)
}

func (in *instance) spot() bool {
	s := in.template.GetProperties().GetScheduling()
	return s.GetPreemptible() || s.GetProvisioningModel() == "SPOT"
}

// event is one change that the model made.
func (in *instance) event(e cloudmodel.Event) {
	switch e.Kind {
	case cloudmodel.BecameRunning:
		if in.status == provisioning {
			in.becomeRunning(e.At)
		}
	case cloudmodel.BootFailed:
		in.broken = true
	case cloudmodel.ReclaimBegan:
		in.preempt()
	case cloudmodel.WasReclaimed, cloudmodel.Died:
		in.halt()
	case cloudmodel.WasDeleted:
		in.status = gone
		in.stopMachine(false)
	}
}

func (in *instance) becomeRunning(at time.Duration) {
	in.status, in.ran = running, at
	in.boots++
	if ms := in.server.cfg.Machines; ms != nil {
		m, err := ms.Boot(fmt.Sprintf("%s-%d-%d", in.name, in.id, in.boots), MachineSpec{IP: in.internal, User: in.user()})
		if err != nil {
			in.server.cfg.Log.Error("a machine did not boot", "instance", in.name, "error", err)
		} else {
			in.machine = m
		}
	}
	clear(in.known)
	in.serial[1] += fmt.Sprintf("[    0.000000] Booting %s\n%s login: \n", in.template.GetProperties().GetMachineType(), in.name)
	in.readMetadata()
}

// preempt is the notice of preemption: the instance is stopping, and its machine still runs.
func (in *instance) preempt() {
	in.ending, in.status = preempted, stopping
	in.record("compute.instances.preempted", "Instance was preempted.")
}

// halt is when the machine is not there any more, although nobody deleted it.
func (in *instance) halt() {
	was := in.status
	in.stopMachine(false)
	in.status = terminated
	in.stopAt, in.bootAt, in.agentAt = cloudmodel.Never, cloudmodel.Never, cloudmodel.Never
	switch {
	case was == provisioning, in.ending == deleted:
		in.status = gone
	case in.ending == "":
		in.record("compute.instances.hostError", "Instance terminated by Compute Engine.")
	case in.ending == preempted && in.template.GetProperties().GetScheduling().GetInstanceTerminationAction() == "DELETE":
		in.status = gone
	}
}

func (in *instance) record(kind, message string) { in.server.record(kind, message, in) }

// stopMachine ends the machine, and waits for that if its address will be used again.
func (in *instance) stopMachine(waits bool) {
	m := in.machine
	if m == nil {
		return
	}
	in.machine = nil
	if waits {
		m.Stop()
		return
	}
	in.server.busy.Go(m.Stop) // it may wait for processes
}

// stop asks the cloud to delete the instance.
func (in *instance) stop(c *call, at time.Duration) error {
	switch in.status {
	case gone:
		return nil
	case terminated:
		in.status = gone
		return nil
	}
	answer := in.group.model.Delete(at, in.number)
	if c != nil {
		c.delay += answer.Delay
	}
	if answer.Failure.Failed() {
		return in.server.ofModel(answer.Failure)
	}
	in.status, in.ending = stopping, deleted
	in.bootAt, in.stopAt = cloudmodel.Never, cloudmodel.Never
	return nil
}

// drop forgets an instance that does not exist any more.
func (in *instance) drop() {
	if in.group.cfg.Model.List.Lag.Value() == 0 {
		delete(in.group.byNumber, in.number)
	}
	in.status = gone
}

// ends reports whether the instance is about to stop, or has stopped, without a host that restarts it.
func (in *instance) ends() bool {
	return in.status == gone || in.status == terminated || in.status == stopping
}

// next returns when something happens to the instance by itself, beside what its model does.
func (in *instance) next() time.Duration { return min(in.stopAt, in.bootAt, in.agentAt) }

// step plays what is due.
func (in *instance) step(at time.Duration) {
	if in.stopAt <= at {
		in.stopAt = cloudmodel.Never
		in.group.model.Kill(at, in.number)
	}
	if in.bootAt <= at {
		in.bootAt = cloudmodel.Never
		in.becomeRunning(at)
		in.record("compute.instances.automaticRestart", "Instance automatically restarted by Compute Engine.")
	}
	if in.agentAt <= at {
		in.agentAt = cloudmodel.Never
		in.readMetadata()
	}
}

// shown is the status as of the API: an instance that boots is staged after a third of its boot.
func (in *instance) shown() string {
	if in.status == provisioning && in.fate.Boot != cloudmodel.Never && in.server.elapsed() >= in.created+in.fate.Boot/3 {
		return staging
	}
	return in.status
}
