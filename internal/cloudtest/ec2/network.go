package ec2

import (
	"fmt"
	"net/netip"
)

// network is the account's only VPC, with a subnet in each of three zones.
type network struct {
	vpc            string
	subnets        []subnet
	securityGroups []*securityGroup
}

type subnet struct{ id, zone, cidr string }

type securityGroup struct {
	id, name, description string
	rules                 []permission
	tags                  []tag
}

func newNetwork(region string) network {
	n := network{vpc: "vpc-0a000000000000001"}
	for i, letter := range []string{"a", "b", "c"} {
		n.subnets = append(n.subnets, subnet{
			id: fmt.Sprintf("subnet-0a0000000000000%02x", i+1), zone: region + letter, cidr: fmt.Sprintf("127.%d.0.0/16", firstNet+i),
		})
	}
	n.securityGroups = []*securityGroup{{id: "sg-0a000000000000001", name: "default", description: "default VPC security group"}}
	return n
}

// firstNet is the second byte of the first private address: 127.80.0.1. Public addresses are 16 networks above.
const firstNet = 80

// addresses returns the addresses of the n-th instance. All are loopback addresses, but for IPv6 there is only one of those.
func addresses(n, zone int) (private, public, v6 string) {
	at := func(second int) string {
		return netip.AddrFrom4([4]byte{127, byte(second + zone), byte(n / 250 % 256), byte(n%250 + 1)}).String()
	}
	return at(firstNet), at(firstNet + 16), fmt.Sprintf("2a05:d018:0:%x::%x", zone+1, n+1)
}

// permission is a rule of a security group, as requests and answers write it.
type permission struct {
	FromPort   *int            `xml:"fromPort"`
	IPProtocol string          `q:"IpProtocol" xml:"ipProtocol"`
	IPRanges   items[ipRange]  `q:"IpRanges" xml:"ipRanges"`
	IPv6Ranges items[ip6Range] `q:"Ipv6Ranges" xml:"ipv6Ranges"`
	Groups     items[pair]     `q:"Groups" xml:"groups"`
	ToPort     *int            `xml:"toPort"`
}

type (
	ipRange struct {
		CIDR        string `q:"CidrIp" xml:"cidrIp"`
		Description string `xml:"description,omitempty"`
	}
	ip6Range struct {
		CIDR        string `q:"CidrIpv6" xml:"cidrIpv6"`
		Description string `xml:"description,omitempty"`
	}
	pair struct {
		Description string `xml:"description,omitempty"`
		GroupID     string `q:"GroupId" xml:"groupId,omitempty"`
		GroupName   string `xml:"groupName,omitempty"`
		UserID      string `q:"UserId" xml:"userId,omitempty"`
		VpcID       string `q:"VpcId" xml:"vpcId,omitempty"`
	}
)
