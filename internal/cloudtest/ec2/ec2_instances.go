package ec2

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

type (
	describeInstancesInput struct {
		Filters     items[filter] `q:"Filter"`
		InstanceIDs items[string] `q:"InstanceId"`
		MaxResults  *int
		NextToken   string
	}
	describeInstancesOutput struct {
		Reservations items[reservationXML] `xml:"reservationSet"`
		NextToken    string                `xml:"nextToken,omitempty"`
	}
	reservationXML struct {
		ID        string             `xml:"reservationId"`
		Owner     string             `xml:"ownerId"`
		Requester string             `xml:"requesterId"`
		Groups    items[groupRefXML] `xml:"groupSet"`
		Instances items[instanceXML] `xml:"instancesSet"`
	}
	groupRefXML struct {
		ID   string `xml:"groupId"`
		Name string `xml:"groupName"`
	}
	stateXML struct {
		Code int    `xml:"code"`
		Name string `xml:"name"`
	}
	placementXML struct {
		Zone    string `xml:"availabilityZone"`
		Group   string `xml:"groupName"`
		Tenancy string `xml:"tenancy"`
	}
	monitoringXML struct {
		State string `xml:"state"`
	}
	instanceXML struct {
		ID             string              `xml:"instanceId"`
		Image          string              `xml:"imageId"`
		State          stateXML            `xml:"instanceState"`
		PrivateDNS     string              `xml:"privateDnsName"`
		PublicDNS      string              `xml:"dnsName"`
		Transition     string              `xml:"reason"`
		Key            string              `xml:"keyName,omitempty"`
		Index          int                 `xml:"amiLaunchIndex"`
		ProductCodes   items[none]         `xml:"productCodes"`
		Type           string              `xml:"instanceType"`
		Launched       string              `xml:"launchTime"`
		Placement      placementXML        `xml:"placement"`
		Platform       string              `xml:"platform,omitempty"`
		PlatformText   string              `xml:"platformDetails"`
		Monitoring     monitoringXML       `xml:"monitoring"`
		Subnet         string              `xml:"subnetId,omitempty"`
		VPC            string              `xml:"vpcId,omitempty"`
		Private        string              `xml:"privateIpAddress,omitempty"`
		Public         string              `xml:"ipAddress,omitempty"`
		V6             string              `xml:"ipv6Address,omitempty"`
		SourceDest     bool                `xml:"sourceDestCheck"`
		SecurityGroups items[groupRefXML]  `xml:"groupSet"`
		Reason         *stateReason        `xml:"stateReason"`
		Architecture   string              `xml:"architecture"`
		RootType       string              `xml:"rootDeviceType"`
		RootName       string              `xml:"rootDeviceName"`
		Lifecycle      string              `xml:"instanceLifecycle,omitempty"`
		SpotRequest    string              `xml:"spotInstanceRequestId,omitempty"`
		Virtualization string              `xml:"virtualizationType"`
		ClientToken    string              `xml:"clientToken"`
		Tags           items[tag]          `xml:"tagSet"`
		Hypervisor     string              `xml:"hypervisor"`
		Interfaces     items[interfaceXML] `xml:"networkInterfaceSet"`
	}
	interfaceXML struct {
		ID      string             `xml:"networkInterfaceId"`
		Subnet  string             `xml:"subnetId"`
		VPC     string             `xml:"vpcId"`
		Owner   string             `xml:"ownerId"`
		Status  string             `xml:"status"`
		Private string             `xml:"privateIpAddress"`
		V6      items[v6XML]       `xml:"ipv6AddressesSet"`
		Groups  items[groupRefXML] `xml:"groupSet"`
	}
	v6XML struct {
		Address string `xml:"ipv6Address"`
	}
)

func describeInstances(c *call, in *describeInstancesInput) (*describeInstancesOutput, error) {
	if len(in.InstanceIDs.List) > 0 && in.MaxResults != nil {
		return nil, refuse("InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults")
	}
	all, views, err := c.allViews()
	if err != nil {
		return nil, err
	}
	if err := checkIDs(in.InstanceIDs.List, func(id string) bool { return all[id] != nil }); err != nil {
		return nil, err
	}
	for id, i := range all {
		fits, err := matches(in.Filters.List, func(name string) ([]string, bool) { return i.attributes(name, views[i]) })
		if err != nil {
			return nil, err
		}
		if !fits {
			delete(all, id)
		}
	}
	size := c.limits(1000, 5, 1000)
	if len(in.InstanceIDs.List) > 0 {
		size.standard = len(in.InstanceIDs.List) // an answer about given instances has one page
	}
	only := in.InstanceIDs.List
	if len(only) == 0 {
		only = slices.Collect(maps.Keys(all))
	}
	list, next, err := page(all, only, in.NextToken, in.MaxResults, size)
	if err != nil {
		return nil, err
	}
	out := &describeInstancesOutput{NextToken: next}
	for _, i := range list {
		r := reservationXML{ID: "r-0" + i.id[3:], Owner: c.cfg.Account, Requester: "940372691376"}
		r.Instances.List = []instanceXML{i.answer(views[i])}
		out.Reservations.List = append(out.Reservations.List, r)
	}
	return out, nil
}

func (in *instance) answer(v view) instanceXML {
	s := in.group.server
	groups := in.securityGroups()
	x := instanceXML{
		ID: in.id, Image: in.image.ID, State: stateXML{v.state.code(), v.state.name()}, Type: in.kind, Launched: stamp(s.at(in.launched)),
		Placement: placementXML{Zone: in.subnet.zone, Tenancy: "default"}, Monitoring: monitoringXML{"disabled"}, Architecture: in.image.Architecture,
		RootType: "ebs", RootName: "/dev/xvda", Virtualization: "hvm", Hypervisor: "xen", PlatformText: "Linux/UNIX", ClientToken: "fleet-" + in.id[2:],
	}
	x.Tags.List = in.tags
	if in.key != nil {
		x.Key = in.key.name
	}
	if in.image.Windows {
		x.Platform, x.PlatformText = "windows", "Windows"
	}
	if in.spot != nil {
		x.Lifecycle, x.SpotRequest = "spot", in.spot.id
	}
	if v.state >= shuttingDown {
		x.Transition, x.Reason = in.transition, &in.reason
	}
	if v.state == terminated {
		return x // it has no addresses any more
	}
	x.Subnet, x.VPC, x.Private, x.Public, x.V6, x.SourceDest = in.subnet.id, s.network.vpc, in.private, in.public, in.v6, true
	x.PrivateDNS = "ip-" + strings.ReplaceAll(in.private, ".", "-") + "." + s.cfg.Region + ".compute.internal"
	if in.public != "" {
		x.PublicDNS = "ec2-" + strings.ReplaceAll(in.public, ".", "-") + "." + s.cfg.Region + ".compute.amazonaws.com"
	}
	x.SecurityGroups.List = groups
	nic := interfaceXML{
		ID: "eni-0" + in.id[3:], Subnet: in.subnet.id, VPC: s.network.vpc, Owner: s.cfg.Account, Status: "in-use", Private: in.private,
		Groups: items[groupRefXML]{groups},
	}
	if in.v6 != "" {
		nic.V6.List = []v6XML{{in.v6}}
	}
	x.Interfaces.List = []interfaceXML{nic}
	return x
}

func (in *instance) securityGroups() []groupRefXML {
	ids := in.template.data.SecurityGroupIDs.List
	for _, nic := range in.template.data.NetworkInterfaces.List {
		ids = append(ids, nic.Groups.List...)
	}
	var list []groupRefXML
	for _, g := range in.group.server.network.securityGroups {
		if slices.Contains(ids, g.id) {
			list = append(list, groupRefXML{g.id, g.name})
		}
	}
	return list
}

// attributes are the filters that DescribeInstances knows.
func (in *instance) attributes(name string, v view) ([]string, bool) {
	one := func(s string) ([]string, bool) { return []string{s}, true }
	switch name {
	case "instance-id":
		return one(in.id)
	case "instance-state-name":
		return one(v.state.name())
	case "instance-state-code":
		return one(fmt.Sprint(v.state.code()))
	case "instance-type":
		return one(in.kind)
	case "image-id":
		return one(in.image.ID)
	case "availability-zone":
		return one(in.subnet.zone)
	case "private-ip-address":
		return one(in.private)
	case "subnet-id":
		return one(in.subnet.id)
	case "vpc-id":
		return one(in.group.server.network.vpc)
	case "instance-lifecycle":
		if in.spot != nil {
			return one("spot")
		}
		return nil, true
	}
	return tagAttributes(in.tags, name)
}
