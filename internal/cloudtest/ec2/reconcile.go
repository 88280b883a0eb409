package ec2

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/pkg/failure"
)

// LaunchFault is why a launch fails: the error code of EC2, and the status message of the scaling activity.
type LaunchFault struct {
	Code    string
	Message string
}

// The reasons for which launches fail at AWS, in its words. {type}, {zone}, {image} and {template} stand for the group's.
const (
	launchFailed = " Launching EC2 instance failed."

	textCapacity = "We currently do not have sufficient {type} capacity in the Availability Zone you requested ({zone}). Our system will be working on " +
		"provisioning additional capacity. You can currently get {type} capacity by not specifying an Availability Zone in your request or choosing another one."
	textVCPU = "You have requested more vCPU capacity than your current vCPU limit of 32 allows for the instance bucket that the specified instance type " +
		"belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit."
	textSpotCount    = "Max spot instance count exceeded"
	textImage        = "The image id '[{image}]' does not exist"
	textTemplate     = "The specified launch template, with template name {template}, does not exist."
	textAddresses    = "There are not enough free addresses in subnet '{subnet}' to satisfy the requested number of instances."
	textUnauthorized = "You are not authorized to perform this operation. Encoded authorization failure message: 4GIOHlTkIaWHQD0Q0m6XSnuUMCm-abcdefgh"
	textThrottled    = "Request limit exceeded."
	textSpotCapacity = "Could not launch Spot Instances. UnfulfillableCapacity - There is no Spot capacity available that matches your request."
	textInternal     = "We have encountered an internal error. Please try again."
	textKey          = "The key pair '{key}' does not exist"
	textGroupID      = "The security group 'sg-0a00000000000dead' does not exist"
)

// LaunchFaults returns the faults that this server knows, by their codes.
func LaunchFaults() map[string]LaunchFault {
	all := map[string]LaunchFault{}
	for code, text := range map[string]string{
		"InsufficientInstanceCapacity": textCapacity, "VcpuLimitExceeded": textVCPU, "MaxSpotInstanceCountExceeded": textSpotCount,
		"InvalidAMIID.NotFound": textImage, "InvalidLaunchTemplateName.NotFoundException": textTemplate,
		"InsufficientFreeAddressesInSubnet": textAddresses, "UnauthorizedOperation": textUnauthorized, "RequestLimitExceeded": textThrottled,
		"UnfulfillableCapacity": textSpotCapacity, "InternalError": textInternal, "InvalidKeyPair.NotFound": textKey, "InvalidGroup.NotFound": textGroupID,
	} {
		all[code] = LaunchFault{code, text + launchFailed}
	}
	return all
}

// launch makes the instances that are missing.
func (g *group) launch(at time.Duration, active int) {
	n := g.desired - active
	if f, broken := g.broken(); broken {
		g.launchFailed(at, active, f)
		return
	}
	made := g.model.Create(at, n)
	for i := range made.Made {
		in := g.newInstance(made.First+uint64(i), at)
		in.activity = g.begin(at, "PreInService", 30, "Launching a new EC2 instance: "+in.id, g.why, g.said(at,
			"an instance was started in response to a difference between desired and actual capacity, increasing the capacity from %d to %d.",
			active, active+made.Made))
		in.activity.details = fmt.Sprintf(`{"Subnet ID":%q,"Availability Zone":%q}`, in.subnet.id, in.subnet.zone)
		g.launched = append(g.launched, in)
		g.byNumber[in.number] = in
	}
	if made.Made == n {
		g.wait = 0
		return
	}
	g.launchFailed(at, active+made.Made, g.faultOf(made.Failure))
}

// broken returns what makes each launch fail: what a test ordered, or a launch template that names what does not exist.
func (g *group) broken() (LaunchFault, bool) {
	if len(g.faults) > 0 {
		f := g.faults[0]
		g.faults = g.faults[1:]
		return f, true
	}
	all, v := LaunchFaults(), g.launchVersion()
	switch {
	case v == nil:
		return all["InvalidLaunchTemplateName.NotFoundException"], true
	case g.server.images[v.data.image()] == nil:
		return all["InvalidAMIID.NotFound"], true
	case v.data.KeyName != "" && g.server.keys[v.data.KeyName] == nil:
		return all["InvalidKeyPair.NotFound"], true
	}
	return LaunchFault{}, false
}

// faultOf says a failure of the model as AWS would.
func (g *group) faultOf(f failure.Failure) LaunchFault {
	code := "InternalError"
	spot := g.cfg.Spot
	if v := g.launchVersion(); v != nil && v.data.spot() {
		spot = true
	}
	switch f.Kind { //nolint:exhaustive // the others are internal errors
	case failure.Capacity:
		code = "InsufficientInstanceCapacity"
		if spot {
			code = "UnfulfillableCapacity"
		}
	case failure.Quota:
		code = "VcpuLimitExceeded"
		if spot {
			code = "MaxSpotInstanceCountExceeded"
		}
	case failure.Throttled:
		code = "RequestLimitExceeded"
	case failure.Config:
		code = "InvalidAMIID.NotFound"
	}
	return LaunchFaults()[code]
}

// launchFailed writes a failed activity, and sets when the group tries again.
func (g *group) launchFailed(at time.Duration, active int, f LaunchFault) {
	a := g.begin(at, "InProgress", 0, "Launching a new EC2 instance.  Status Reason: "+g.fill(f.Message), g.why, g.said(at,
		"an instance was started in response to a difference between desired and actual capacity, increasing the capacity from %d to %d.", active, g.desired))
	a.fail(g.server.at(at), g.fill(f.Message))
	if g.wait == 0 {
		g.wait = g.cfg.Retry
	} else {
		g.wait = min(2*g.wait, max(lastRetry, g.cfg.Retry))
	}
	g.wakeAt = at + g.wait
}

// fill puts the group's names into a text.
func (g *group) fill(text string) string {
	net := g.subnets()[0]
	var d templateData
	name := ""
	if v := g.launchVersion(); v != nil {
		d, name = v.data, v.of.name
	}
	return strings.NewReplacer("{type}", first(d.InstanceType, "m6i.large"), "{zone}", net.zone, "{subnet}", net.id, "{image}", d.ImageID,
		"{template}", name, "{key}", d.KeyName).Replace(text)
}

// scaleIn terminates the oldest instances that are not protected.
func (g *group) scaleIn(at time.Duration) {
	active := g.active()
	over := len(active) - g.desired
	for _, in := range active {
		if over == 0 {
			return
		}
		if in.protected {
			continue
		}
		over--
		why := g.said(at, "an instance was taken out of service in response to a difference between desired and actual capacity, "+
			"shrinking the capacity from %d to %d.", len(active), g.desired)
		if _, err := g.terminate(nil, at, in, g.why, why); err != nil {
			g.wakeAt = at + g.cfg.Retry // the cloud refused it
		}
	}
	if over > 0 && !g.blocked {
		g.blocked = true
		a := g.begin(at, "InProgress", 0, "Could not scale to desired capacity because all remaining instances are protected from scale in.", g.why)
		a.status, a.progress, a.end = "Cancelled", 100, g.server.at(at)
	}
}

// terminate begins to take an instance out of service, and its activity. c is nil when the group does so by itself.
func (g *group) terminate(c *call, at time.Duration, in *instance, cause ...string) (*activity, error) {
	if err := in.stop(c, at); err != nil {
		return nil, err
	}
	in.activity.finish(g.server.at(at))
	in.lifecycle = lifeTerminating
	a := g.begin(at, "InProgress", 0, "Terminating EC2 instance: "+in.id, slices.DeleteFunc(cause, func(s string) bool { return s == "" })...)
	a.details = fmt.Sprintf(`{"Subnet ID":%q,"Availability Zone":%q}`, in.subnet.id, in.subnet.zone)
	in.activity = a
	if in.state == terminated {
		in.leave(at)
	}
	return a, nil
}

// sick reports whether the group will replace the instance.
func (in *instance) sick() bool {
	if !in.member || in.lifecycle == lifeTerminating || in.lifecycle == lifeStandby {
		return false
	}
	return in.health == unhealthy || in.state >= shuttingDown
}

// replaceSick terminates instances that are not healthy, or that vanished. That they are missing makes the group launch others.
func (g *group) replaceSick(at time.Duration) {
	if g.isSuspended("ReplaceUnhealthy") || g.isSuspended("HealthCheck") {
		return
	}
	for _, in := range g.launched {
		if !in.sick() || at < in.dueHealth {
			continue
		}
		why := "an instance was taken out of service in response to an EC2 health check indicating it has been terminated or stopped."
		if in.state < shuttingDown {
			why = "an instance was taken out of service in response to a user health-check."
		}
		in.health = unhealthy
		g.why = ""
		if _, err := g.terminate(nil, at, in, g.said(at, "%s", why)); err != nil {
			in.noticed(at + firstRetry) // the cloud refused it
			continue
		}
		if g.wait == 0 {
			g.wakeAt = at
		}
	}
}
