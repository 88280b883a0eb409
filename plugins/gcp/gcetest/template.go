package gcetest

import (
	"fmt"
	"strings"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
)

func (s *Server) defaultAccount() string {
	return fmt.Sprintf("%d-compute@developer.gserviceaccount.com", s.projectNumber())
}

// finishTemplate sets what the server sets.
func (s *Server) finishTemplate(t *computepb.InstanceTemplate, place string) {
	path := place + "/instanceTemplates/" + t.GetName()
	t.Kind, t.SelfLink = proto.String("compute#instanceTemplate"), proto.String(s.link(path))
	t.Id, t.CreationTimestamp = proto.Uint64(cloudID(path, 1)), proto.String(s.stamp(s.elapsed()))
	if place != "global" {
		t.Region = proto.String(s.link(place))
	}
}

// sourceImage is the image of the boot disk.
func sourceImage(t *computepb.InstanceTemplate) string {
	for _, d := range t.GetProperties().GetDisks() {
		if d.GetBoot() {
			return d.GetInitializeParams().GetSourceImage()
		}
	}
	return ""
}

func (c *call) insertTemplate(t *computepb.InstanceTemplate) (*computepb.Operation, error) {
	path := c.place() + "/instanceTemplates/" + t.GetName()
	switch {
	case t.GetName() == "":
		return nil, invalid("Invalid value for field 'resource.name': ''. Name must be specified.").withReason("required")
	case c.templates[path] != nil:
		return nil, c.exists(path)
	case t.GetProperties().GetMachineType() == "":
		return nil, invalid("Invalid value for field 'resource.properties.machineType': ''. Machine type must be specified.").withReason("required")
	case sourceImage(t) == "":
		return nil, invalid("Invalid value for field 'resource.properties.disks': ''. At least one boot disk with an image is needed.")
	case len(t.GetProperties().GetNetworkInterfaces()) == 0:
		return nil, invalid("Invalid value for field 'resource.properties.networkInterfaces': ''. At least one network interface is required.")
	case c.image(sourceImage(t)) == nil:
		return nil, c.missing(c.unlink(sourceImage(t)))
	}
	t = proto.CloneOf(t)
	c.finishTemplate(t, c.place())
	c.templates[path] = t
	return c.done(path, t.GetId())
}

func (c *call) getTemplate(name string) (*computepb.InstanceTemplate, error) {
	path := c.place() + "/instanceTemplates/" + name
	if t := c.templates[path]; t != nil {
		return t, nil
	}
	return nil, c.missing(path)
}

func (c *call) listTemplates(in listRequest) (*computepb.InstanceTemplateList, error) {
	prefix := c.place() + "/instanceTemplates/"
	var all []*computepb.InstanceTemplate
	for _, path := range sortedKeys(c.templates) {
		if strings.HasPrefix(path, prefix) {
			all = append(all, c.templates[path])
		}
	}
	out := &computepb.InstanceTemplateList{Kind: proto.String("compute#instanceTemplateList"), Id: proto.String(c.id()), SelfLink: proto.String(c.link(strings.TrimSuffix(prefix, "/")))}
	var err error
	out.Items, out.NextPageToken, err = page(c, all, in)
	return out, err
}

func (c *call) exists(path string) *apiError {
	return refuse(409, "alreadyExists", "The resource '%s' already exists", c.full(path))
}

// addAutoscaler adds an autoscaler of a group. It never acts.
func (s *Server) addAutoscaler(g *group, mode string) {
	path := g.place + "/autoscalers/" + g.name
	a := &computepb.Autoscaler{
		Kind: proto.String("compute#autoscaler"), Id: proto.Uint64(cloudID(path, 1)), Name: &g.name, SelfLink: proto.String(s.link(path)), Status: proto.String("ACTIVE"),
		Target: proto.String(s.link(g.path())), CreationTimestamp: proto.String(s.stamp(s.elapsed())),
		AutoscalingPolicy: &computepb.AutoscalingPolicy{Mode: &mode, MinNumReplicas: proto.Int32(1), MaxNumReplicas: proto.Int32(10), CoolDownPeriodSec: proto.Int32(60)},
	}
	if kind, _, _ := strings.Cut(g.place, "/"); kind == "zones" {
		a.Zone = proto.String(s.link(g.place))
	} else {
		a.Region = proto.String(s.link(g.place))
	}
	s.scalers[path] = a
}

func (c *call) getAutoscaler(name string) (*computepb.Autoscaler, error) {
	path := c.place() + "/autoscalers/" + name
	if a := c.scalers[path]; a != nil {
		return a, nil
	}
	return nil, c.missing(path)
}

func (c *call) autoscalers() []*computepb.Autoscaler {
	var all []*computepb.Autoscaler
	for _, path := range sortedKeys(c.scalers) {
		if strings.HasPrefix(path, c.place()+"/") {
			all = append(all, c.scalers[path])
		}
	}
	return all
}

func insertFirewall(c *call, in *computepb.InsertFirewallRequest) (*computepb.Operation, error) {
	f := proto.CloneOf(in.GetFirewallResource())
	path := "global/firewalls/" + f.GetName()
	switch {
	case f.GetName() == "":
		return nil, invalid("Invalid value for field 'resource.name': ''. Name must be specified.").withReason("required")
	case c.firewalls[path] != nil:
		return nil, c.exists(path)
	case len(f.GetAllowed())+len(f.GetDenied()) == 0:
		return nil, invalid("Invalid value for field 'resource.allowed': ''. At least one rule must be specified.")
	}
	f.Kind, f.SelfLink, f.Id = proto.String("compute#firewall"), proto.String(c.link(path)), proto.Uint64(cloudID(path, 1))
	c.firewalls[path] = f
	return c.done(path, f.GetId())
}
