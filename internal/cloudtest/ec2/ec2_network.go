package ec2

import (
	"fmt"
	"strings"
)

type (
	createSecurityGroupInput struct {
		Name              string                  `q:"GroupName,required"`
		Description       string                  `q:"GroupDescription,required"`
		VpcID             string                  `q:"VpcId"`
		TagSpecifications items[tagSpecification] `q:"TagSpecification"`
	}
	createSecurityGroupOutput struct {
		ID   string     `xml:"groupId"`
		Tags items[tag] `xml:"tagSet"`
	}
	authorizeIngressInput struct {
		GroupID     string            `q:"GroupId"`
		GroupName   string            `q:"GroupName"`
		Permissions items[permission] `q:"IpPermissions"`
		CidrIP      string            `q:"CidrIp"`
		Protocol    string            `q:"IpProtocol"`
		FromPort    *int
		ToPort      *int
	}
	authorizeIngressOutput struct {
		Return bool           `xml:"return"`
		Rules  items[ruleXML] `xml:"securityGroupRuleSet"`
	}
	ruleXML struct {
		ID         string         `xml:"securityGroupRuleId"`
		GroupID    string         `xml:"groupId"`
		Owner      string         `xml:"groupOwnerId"`
		Egress     bool           `xml:"isEgress"`
		Protocol   string         `xml:"ipProtocol"`
		From       *int           `xml:"fromPort"`
		To         *int           `xml:"toPort"`
		V4         string         `xml:"cidrIpv4,omitempty"`
		V6         string         `xml:"cidrIpv6,omitempty"`
		Referenced *referencedXML `xml:"referencedGroupInfo"`
	}
	referencedXML struct {
		GroupID string `xml:"groupId"`
		UserID  string `xml:"userId"`
	}
	describeSecurityGroupsInput struct {
		Filters    items[filter] `q:"Filter"`
		IDs        items[string] `q:"GroupId"`
		Names      items[string] `q:"GroupName"`
		NextToken  string
		MaxResults *int
	}
	describeSecurityGroupsOutput struct {
		Groups    items[securityGroupXML] `xml:"securityGroupInfo"`
		NextToken string                  `xml:"nextToken,omitempty"`
	}
	securityGroupXML struct {
		Owner       string            `xml:"ownerId"`
		ID          string            `xml:"groupId"`
		Name        string            `xml:"groupName"`
		Description string            `xml:"groupDescription"`
		VPC         string            `xml:"vpcId"`
		Permissions items[permission] `xml:"ipPermissions"`
		Egress      items[permission] `xml:"ipPermissionsEgress"`
		Tags        items[tag]        `xml:"tagSet"`
	}
	deleteSecurityGroupInput struct {
		ID string `q:"GroupId,required"`
	}
)

func createSecurityGroup(c *call, in *createSecurityGroupInput) (*createSecurityGroupOutput, error) {
	if in.VpcID != "" && in.VpcID != c.network.vpc {
		return nil, refuse("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", in.VpcID)
	}
	for _, g := range c.network.securityGroups {
		if g.name == in.Name {
			return nil, refuse("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", in.Name, c.network.vpc)
		}
	}
	c.made++
	g := &securityGroup{id: fmt.Sprintf("sg-0%016x", 0xa100000000000+c.made), name: in.Name, description: in.Description, tags: tagsOf(in.TagSpecifications, "security-group")}
	c.network.securityGroups = append(c.network.securityGroups, g)
	return &createSecurityGroupOutput{g.id, items[tag]{g.tags}}, nil
}

func (s *Server) securityGroup(id, name string) (*securityGroup, error) {
	for _, g := range s.network.securityGroups {
		if id != "" && g.id == id || id == "" && g.name == name {
			return g, nil
		}
	}
	return nil, refuse("InvalidGroup.NotFound", "The security group '%s' does not exist", first(id, name))
}

func authorizeSecurityGroupIngress(c *call, in *authorizeIngressInput) (*authorizeIngressOutput, error) {
	g, err := c.securityGroup(in.GroupID, in.GroupName)
	if err != nil {
		return nil, err
	}
	added := in.Permissions.List
	if in.CidrIP != "" {
		added = append(added, permission{FromPort: in.FromPort, ToPort: in.ToPort, IPProtocol: in.Protocol, IPRanges: items[ipRange]{[]ipRange{{CIDR: in.CidrIP}}}})
	}
	if len(added) == 0 {
		return nil, refuse("MissingParameter", "Either 'cidrIp' or 'ipPermissions' should be provided.")
	}
	g.rules = append(g.rules, added...)
	out := &authorizeIngressOutput{Return: true}
	for _, p := range added {
		rule := ruleXML{GroupID: g.id, Owner: c.cfg.Account, Protocol: p.IPProtocol, From: p.FromPort, To: p.ToPort}
		add := func() {
			c.made++
			rule.ID = fmt.Sprintf("sgr-0%016x", 0xa200000000000+c.made)
			out.Rules.List = append(out.Rules.List, rule)
		}
		for _, r := range p.IPRanges.List {
			rule.V4, rule.V6, rule.Referenced = r.CIDR, "", nil
			add()
		}
		for _, r := range p.IPv6Ranges.List {
			rule.V4, rule.V6, rule.Referenced = "", r.CIDR, nil
			add()
		}
		for _, r := range p.Groups.List {
			rule.V4, rule.V6, rule.Referenced = "", "", &referencedXML{r.GroupID, c.cfg.Account}
			add()
		}
	}
	return out, nil
}

func describeSecurityGroups(c *call, in *describeSecurityGroupsInput) (*describeSecurityGroupsOutput, error) {
	all, only := map[string]*securityGroup{}, in.IDs.List
	for _, name := range in.Names.List {
		g, err := c.securityGroup("", name)
		if err != nil {
			return nil, err
		}
		only = append(only, g.id)
	}
	for _, id := range in.IDs.List {
		if _, err := c.securityGroup(id, ""); err != nil {
			return nil, err
		}
	}
	for _, g := range c.network.securityGroups {
		fits, err := matches(in.Filters.List, func(name string) ([]string, bool) {
			switch name {
			case "group-name":
				return []string{g.name}, true
			case "group-id":
				return []string{g.id}, true
			case "vpc-id":
				return []string{c.network.vpc}, true
			}
			return tagAttributes(g.tags, name)
		})
		if err != nil {
			return nil, err
		}
		if fits {
			all[g.id] = g
		}
	}
	list, next, err := page(all, only, in.NextToken, in.MaxResults, c.limits(1000, 5, 1000))
	if err != nil {
		return nil, err
	}
	out := &describeSecurityGroupsOutput{NextToken: next}
	for _, g := range list {
		out.Groups.List = append(out.Groups.List, securityGroupXML{
			Owner: c.cfg.Account, ID: g.id, Name: g.name, Description: g.description, VPC: c.network.vpc, Permissions: items[permission]{g.rules},
			Egress: items[permission]{[]permission{{IPProtocol: "-1", IPRanges: items[ipRange]{[]ipRange{{CIDR: "0.0.0.0/0"}}}}}}, Tags: items[tag]{g.tags},
		})
	}
	return out, nil
}

func deleteSecurityGroup(c *call, in *deleteSecurityGroupInput) (*done, error) {
	if _, err := c.securityGroup(in.ID, ""); err != nil {
		return nil, err
	}
	var left []*securityGroup
	for _, g := range c.network.securityGroups {
		if g.id != in.ID {
			left = append(left, g)
		}
	}
	c.network.securityGroups = left
	return &done{true}, nil
}

type (
	describeSubnetsInput struct {
		Filters    items[filter] `q:"Filter"`
		IDs        items[string] `q:"SubnetId"`
		NextToken  string
		MaxResults *int
	}
	describeSubnetsOutput struct {
		Subnets   items[subnetXML] `xml:"subnetSet"`
		NextToken string           `xml:"nextToken,omitempty"`
	}
	subnetXML struct {
		ID       string     `xml:"subnetId"`
		ARN      string     `xml:"subnetArn"`
		State    string     `xml:"state"`
		Owner    string     `xml:"ownerId"`
		VPC      string     `xml:"vpcId"`
		CIDR     string     `xml:"cidrBlock"`
		Free     int        `xml:"availableIpAddressCount"`
		Zone     string     `xml:"availabilityZone"`
		Default  bool       `xml:"defaultForAz"`
		PublicIP bool       `xml:"mapPublicIpOnLaunch"`
		Tags     items[tag] `xml:"tagSet"`
	}
	describeVpcsInput struct {
		Filters    items[filter] `q:"Filter"`
		IDs        items[string] `q:"VpcId"`
		NextToken  string
		MaxResults *int
	}
	describeVpcsOutput struct {
		Vpcs items[vpcXML] `xml:"vpcSet"`
	}
	vpcXML struct {
		ID      string     `xml:"vpcId"`
		Owner   string     `xml:"ownerId"`
		State   string     `xml:"state"`
		CIDR    string     `xml:"cidrBlock"`
		Tenancy string     `xml:"instanceTenancy"`
		Default bool       `xml:"isDefault"`
		Tags    items[tag] `xml:"tagSet"`
	}
)

func describeSubnets(c *call, in *describeSubnetsInput) (*describeSubnetsOutput, error) {
	all := map[string]subnetXML{}
	for _, n := range c.network.subnets {
		fits, err := matches(in.Filters.List, func(name string) ([]string, bool) {
			v, known := map[string]string{
				"vpc-id": c.network.vpc, "subnet-id": n.id, "availability-zone": n.zone, "default-for-az": "true", "state": "available",
			}[name]
			return []string{v}, known
		})
		if err != nil {
			return nil, err
		}
		if fits {
			all[n.id] = subnetXML{
				ID: n.id, ARN: "arn:aws:ec2:" + c.cfg.Region + ":" + c.cfg.Account + ":subnet/" + n.id, State: "available", Owner: c.cfg.Account,
				VPC: c.network.vpc, CIDR: n.cidr, Free: 65000, Zone: n.zone, Default: true, PublicIP: true,
			}
		}
	}
	for _, id := range in.IDs.List {
		if _, err := c.zonesOf(id, nil); err != nil {
			return nil, refuse("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", id)
		}
	}
	list, next, err := page(all, in.IDs.List, in.NextToken, in.MaxResults, c.limits(1000, 5, 1000))
	return &describeSubnetsOutput{items[subnetXML]{list}, next}, err
}

func describeVpcs(c *call, in *describeVpcsInput) (*describeVpcsOutput, error) {
	fits, err := matches(in.Filters.List, func(name string) ([]string, bool) {
		v, known := map[string]string{"vpc-id": c.network.vpc, "is-default": "true", "isDefault": "true", "state": "available"}[name]
		return []string{v}, known
	})
	if err != nil {
		return nil, err
	}
	out := &describeVpcsOutput{}
	if ids := strings.Join(in.IDs.List, ","); ids != "" && ids != c.network.vpc {
		return nil, refuse("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", ids)
	}
	if fits {
		out.Vpcs.List = []vpcXML{{
			ID: c.network.vpc, Owner: c.cfg.Account, State: "available", CIDR: "127.0.0.0/8", Tenancy: "default", Default: true,
		}}
	}
	return out, nil
}
