package gcetest

import (
	"strconv"
	"strings"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
)

// instance returns the instance that a call is about, by its name or its id.
func (c *call) instance() (*instance, *apiError) {
	zone, name := c.vars["zone"], c.vars["instance"]
	for _, in := range c.all() {
		if in.zone.name == zone && in.status != gone && (in.name == name || strconv.FormatUint(in.id, 10) == name) {
			return in, nil
		}
	}
	return nil, c.missing("zones/" + zone + "/instances/" + name)
}

func getInstance(c *call, _ *computepb.GetInstanceRequest) (*computepb.Instance, error) {
	in, fault := c.instance()
	if fault != nil {
		return nil, fault
	}
	return in.answer(in.shown()), nil
}

// visible lists the instances of a zone as lists show them; "" is every zone.
func (c *call) visible(zone string) ([]*computepb.Instance, error) {
	var list []*computepb.Instance
	for _, g := range c.sorted() {
		if kind, name, _ := strings.Cut(g.place, "/"); zone != "" && kind == "zones" && name != zone {
			continue
		}
		shown, err := c.listed(g)
		if err != nil {
			return nil, err
		}
		for _, in := range c.all() {
			if in.group != g || in.status == gone || zone != "" && in.zone.name != zone {
				continue
			}
			state := shown[in.number]
			switch {
			case in.status == terminated:
				list = append(list, in.answer(terminated))
			case state != 0:
				_, status := in.asOf(state, none)
				list = append(list, in.answer(status))
			}
		}
	}
	return list, nil
}

func listInstances(c *call, in *computepb.ListInstancesRequest) (*computepb.InstanceList, error) {
	all, err := c.visible(in.GetZone())
	if err != nil {
		return nil, err
	}
	out := &computepb.InstanceList{Kind: proto.String("compute#instanceList"), Id: proto.String(c.id()), SelfLink: proto.String(c.link(c.place() + "/instances"))}
	out.Items, out.NextPageToken, err = page(c, all, in)
	return out, err
}

func aggregatedList(c *call, in *computepb.AggregatedListInstancesRequest) (*computepb.InstanceAggregatedList, error) {
	all, err := c.visible("")
	if err != nil {
		return nil, err
	}
	out := &computepb.InstanceAggregatedList{
		Kind: proto.String("compute#instanceAggregatedList"), Id: proto.String(c.id()), SelfLink: proto.String(c.link("aggregated/instances")),
		Items: map[string]*computepb.InstancesScopedList{},
	}
	all, out.NextPageToken, err = page(c, all, in)
	for _, z := range c.zones {
		out.Items["zones/"+z.name] = &computepb.InstancesScopedList{}
	}
	for _, one := range all {
		scope := c.unlink(one.GetZone())
		out.Items[scope].Instances = append(out.Items[scope].Instances, one)
	}
	for scope, list := range out.Items {
		if len(list.Instances) == 0 {
			list.Warning = &computepb.Warning{Code: proto.String("NO_RESULTS_ON_PAGE"), Message: proto.String("There are no results for scope '" + scope + "' on this page."),
				Data: []*computepb.Data{{Key: proto.String("scope"), Value: &scope}}}
		}
	}
	return out, err
}

func deleteInstance(c *call, _ *computepb.DeleteInstanceRequest) (*computepb.Operation, error) {
	in, fault := c.instance()
	if fault != nil {
		return nil, fault
	}
	if err := in.stop(c, c.elapsed()); err != nil {
		return nil, err
	}
	return c.done(in.path(), in.id)
}

// answer is the instance as the API shows it, with this status.
func (in *instance) answer(status string) *computepb.Instance {
	s, p := in.server, in.template.GetProperties()
	zone := s.link("zones/" + in.zone.name)
	m := &computepb.Metadata{Kind: proto.String("compute#metadata"), Items: in.metadata.GetItems(), Fingerprint: proto.String(fingerprint(in.metadata))}
	out := &computepb.Instance{
		Kind: proto.String("compute#instance"), Id: &in.id, Name: &in.name, Zone: &zone, SelfLink: proto.String(s.link(in.path())), Status: &status, Metadata: m,
		CreationTimestamp: proto.String(s.stamp(in.stamped)), MachineType: proto.String(zone + "/machineTypes/" + p.GetMachineType()), Labels: p.GetLabels(),
		LabelFingerprint: proto.String(fingerprintOf(1)), Fingerprint: proto.String(fingerprintOf(in.id)), Scheduling: p.GetScheduling(), Tags: p.GetTags(),
		ServiceAccounts: p.GetServiceAccounts(), CpuPlatform: proto.String("Intel Broadwell"), Disks: []*computepb.AttachedDisk{in.disk()},
		DeletionProtection: proto.Bool(false), StartRestricted: proto.Bool(false),
		NetworkInterfaces: in.interfaces(status),
	}
	if in.boots > 0 {
		out.LastStartTimestamp = proto.String(s.stamp(in.ran))
	}
	if status == stopping && in.ending == preempted {
		out.StatusMessage = proto.String("The instance is being preempted.")
	}
	return out
}

func (in *instance) disk() *computepb.AttachedDisk {
	d := &computepb.AttachedDisk{
		Kind: proto.String("compute#attachedDisk"), Boot: proto.Bool(true), AutoDelete: proto.Bool(true), DeviceName: proto.String("persistent-disk-0"), Index: proto.Int32(0),
		Interface: proto.String("SCSI"), Mode: proto.String("READ_WRITE"), Type: proto.String("PERSISTENT"), DiskSizeGb: proto.Int64(20),
		Source: proto.String(in.server.link("zones/" + in.zone.name + "/disks/" + in.name)),
	}
	if in.image != nil {
		d.Architecture, d.GuestOsFeatures = &in.image.Architecture, features(in.image.Windows)
		word := "debian-12-bookworm"
		project := "debian-cloud"
		if in.image.Windows {
			word, project = "windows-server-2022-dc", "windows-cloud"
		}
		d.Licenses = []string{linkBase + "projects/" + project + "/global/licenses/" + word}
	}
	return d
}

// interfaces are the network interfaces. An instance has its addresses as long as it is not stopped.
func (in *instance) interfaces(status string) []*computepb.NetworkInterface {
	s := in.server
	nic := &computepb.NetworkInterface{
		Kind: proto.String("compute#networkInterface"), Name: proto.String("nic0"), Network: proto.String(s.link("global/networks/default")),
		Subnetwork: proto.String(s.link("regions/" + in.zone.region + "/subnetworks/default")), NetworkIP: &in.internal,
		Fingerprint: proto.String(fingerprintOf(in.id + 1)), StackType: proto.String("IPV4_ONLY"),
	}
	for _, t := range in.template.GetProperties().GetNetworkInterfaces() {
		for _, a := range t.GetAccessConfigs() {
			a = proto.CloneOf(a)
			a.Kind, a.NetworkTier = proto.String("compute#accessConfig"), proto.String("PREMIUM")
			if status != terminated && status != provisioning {
				a.NatIP = &in.external
			}
			nic.AccessConfigs = append(nic.AccessConfigs, a)
		}
		if len(t.GetIpv6AccessConfigs()) > 0 {
			nic.StackType, nic.Ipv6AccessType = proto.String("IPV4_IPV6"), proto.String("EXTERNAL")
			nic.Ipv6AccessConfigs = []*computepb.AccessConfig{{Kind: proto.String("compute#accessConfig"), Name: proto.String("external-ipv6"), Type: proto.String("DIRECT_IPV6"),
				ExternalIpv6: &in.v6, ExternalIpv6PrefixLength: proto.Int32(96), NetworkTier: proto.String("PREMIUM")}}
		}
	}
	return []*computepb.NetworkInterface{nic}
}

func getSerialPortOutput(c *call, r *computepb.GetSerialPortOutputInstanceRequest) (*computepb.SerialPortOutput, error) {
	in, fault := c.instance()
	if fault != nil {
		return nil, fault
	}
	port := r.GetPort()
	if port == 0 {
		port = 1
	}
	text := in.serial[port]
	from := min(max(r.GetStart(), 0), int64(len(text)))
	return &computepb.SerialPortOutput{
		Kind: proto.String("compute#serialPortOutput"), SelfLink: proto.String(c.link(in.path() + "/serialPort")), Contents: proto.String(text[from:]),
		Start: &from, Next: proto.Int64(int64(len(text))),
	}, nil
}

// getDisk answers the boot disk of an instance, which has the instance's name.
func getDisk(c *call, r *computepb.GetDiskRequest) (*computepb.Disk, error) {
	for _, in := range c.all() {
		if in.zone.name != r.GetZone() || in.name != r.GetDisk() || in.status == gone {
			continue
		}
		path := "zones/" + in.zone.name + "/disks/" + in.name
		d := &computepb.Disk{
			Kind: proto.String("compute#disk"), Id: proto.Uint64(cloudID(path, in.number)), Name: &in.name, SelfLink: proto.String(c.link(path)), Status: proto.String("READY"),
			Zone: proto.String(c.link("zones/" + in.zone.name)), SizeGb: proto.Int64(20), Users: []string{c.link(in.path())}, CreationTimestamp: proto.String(c.stamp(in.created)),
			SourceImage: proto.String(sourceImage(in.template)),
		}
		if in.image != nil {
			d.Architecture, d.GuestOsFeatures, d.Licenses = &in.image.Architecture, features(in.image.Windows), in.disk().GetLicenses()
		}
		return d, nil
	}
	return nil, c.missing("zones/" + r.GetZone() + "/disks/" + r.GetDisk())
}
