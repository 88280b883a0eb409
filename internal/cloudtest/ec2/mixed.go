package ec2

// mixedPolicy is a mixed instances policy, as requests and answers write it.
type mixedPolicy struct {
	LaunchTemplate        mixedTemplate        `xml:"LaunchTemplate"`
	InstancesDistribution instanceDistribution `xml:"InstancesDistribution"`
}

type (
	mixedTemplate struct {
		LaunchTemplateSpecification *templateSpec     `xml:"LaunchTemplateSpecification"`
		Overrides                   members[override] `xml:"Overrides"`
	}
	override struct {
		InstanceType     string        `xml:"InstanceType,omitempty"`
		WeightedCapacity string        `xml:"WeightedCapacity,omitempty"`
		Specification    *templateSpec `q:"LaunchTemplateSpecification" xml:"LaunchTemplateSpecification"`
	}
	instanceDistribution struct {
		OnDemandAllocationStrategy string `xml:"OnDemandAllocationStrategy,omitempty"`
		OnDemandBaseCapacity       *int   `xml:"OnDemandBaseCapacity"`
		OnDemandPercentage         *int   `q:"OnDemandPercentageAboveBaseCapacity" xml:"OnDemandPercentageAboveBaseCapacity"`
		SpotAllocationStrategy     string `xml:"SpotAllocationStrategy,omitempty"`
		SpotInstancePools          *int   `xml:"SpotInstancePools"`
		SpotMaxPrice               string `xml:"SpotMaxPrice,omitempty"`
	}
)

// defaultMixed is the policy of a configured group: half of what it launches are spot instances, as far as it describes itself.
func defaultMixed(spec *templateSpec) *mixedPolicy {
	percent := 50
	return &mixedPolicy{
		LaunchTemplate: mixedTemplate{
			LaunchTemplateSpecification: spec,
			Overrides:                   members[override]{[]override{{InstanceType: "m6i.large"}, {InstanceType: "m5.large"}}},
		},
		InstancesDistribution: instanceDistribution{
			OnDemandAllocationStrategy: "prioritized", OnDemandBaseCapacity: new(int), OnDemandPercentage: &percent,
			SpotAllocationStrategy: "price-capacity-optimized",
		},
	}
}
