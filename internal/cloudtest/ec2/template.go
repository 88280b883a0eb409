package ec2

import (
	"fmt"
	"strconv"
	"time"
)

// template is a launch template.
type template struct {
	id, name string
	created  time.Duration
	versions []*templateVersion
	standard int // number of the default version
	tags     []tag
}

type templateVersion struct {
	of          *template
	number      int
	description string
	created     time.Duration
	data        templateData
}

// templateData is what a launch template says, as requests and answers write it.
type templateData struct {
	ImageID               string                     `q:"ImageId" xml:"imageId,omitempty"`
	InstanceType          string                     `xml:"instanceType,omitempty"`
	KeyName               string                     `xml:"keyName,omitempty"`
	SecurityGroupIDs      items[string]              `q:"SecurityGroupId" xml:"securityGroupIdSet"`
	SecurityGroups        items[string]              `q:"SecurityGroup" xml:"securityGroupSet"`
	UserData              string                     `xml:"userData,omitempty"`
	EbsOptimized          *bool                      `xml:"ebsOptimized"`
	DisableAPITermination *bool                      `q:"DisableApiTermination" xml:"disableApiTermination"`
	ShutdownBehavior      string                     `q:"InstanceInitiatedShutdownBehavior" xml:"instanceInitiatedShutdownBehavior,omitempty"`
	IAMInstanceProfile    *instanceProfile           `q:"IamInstanceProfile" xml:"iamInstanceProfile"`
	InstanceMarketOptions *marketOptions             `xml:"instanceMarketOptions"`
	MetadataOptions       *metadataOptions           `xml:"metadataOptions"`
	Monitoring            *monitoring                `xml:"monitoring"`
	TagSpecifications     items[tagSpecification]    `q:"TagSpecification" xml:"tagSpecificationSet"`
	BlockDeviceMappings   items[blockDevice]         `q:"BlockDeviceMapping" xml:"blockDeviceMappingSet"`
	NetworkInterfaces     items[interfaceOfInstance] `q:"NetworkInterface" xml:"networkInterfaceSet"`
}

type (
	instanceProfile struct {
		Arn  string `xml:"arn,omitempty"`
		Name string `xml:"name,omitempty"`
	}
	marketOptions struct {
		MarketType  string       `xml:"marketType,omitempty"`
		SpotOptions *spotOptions `xml:"spotOptions"`
	}
	spotOptions struct {
		MaxPrice             string `xml:"maxPrice,omitempty"`
		SpotInstanceType     string `xml:"spotInstanceType,omitempty"`
		InterruptionBehavior string `q:"InstanceInterruptionBehavior" xml:"instanceInterruptionBehavior,omitempty"`
	}
	metadataOptions struct {
		HTTPTokens   string `q:"HttpTokens" xml:"httpTokens,omitempty"`
		HopLimit     *int   `q:"HttpPutResponseHopLimit" xml:"httpPutResponseHopLimit"`
		HTTPEndpoint string `q:"HttpEndpoint" xml:"httpEndpoint,omitempty"`
	}
	monitoring struct {
		Enabled *bool `xml:"enabled"`
	}
	blockDevice struct {
		DeviceName string   `xml:"deviceName,omitempty"`
		Ebs        *ebsSpec `xml:"ebs"`
	}
	ebsSpec struct {
		Encrypted           *bool  `xml:"encrypted"`
		DeleteOnTermination *bool  `xml:"deleteOnTermination"`
		Iops                *int   `xml:"iops"`
		VolumeSize          *int   `xml:"volumeSize"`
		VolumeType          string `xml:"volumeType,omitempty"`
		Throughput          *int   `xml:"throughput"`
	}
	interfaceOfInstance struct {
		AssociatePublicIPAddress *bool       `q:"AssociatePublicIpAddress" xml:"associatePublicIpAddress"`
		DeviceIndex              *int        `xml:"deviceIndex"`
		Groups                   groupIDList `q:"SecurityGroupId" xml:"groupSet"`
		SubnetID                 string      `q:"SubnetId" xml:"subnetId,omitempty"`
		Ipv6AddressCount         *int        `xml:"ipv6AddressCount"`
		DeleteOnTermination      *bool       `xml:"deleteOnTermination"`
	}
	groupIDList struct {
		List []string `xml:"groupId"`
	}
	tagSpecification struct {
		ResourceType string     `xml:"resourceType"`
		Tags         items[tag] `q:"Tag" xml:"tagSet"`
	}
	tag struct {
		Key   string `xml:"key"`
		Value string `xml:"value"`
	}
)

// image is the image that instances get; the default image if the template names none.
func (d *templateData) image() string {
	if d.ImageID == "" {
		return ImageLinux
	}
	return d.ImageID
}

// spot reports whether instances are spot instances.
func (d *templateData) spot() bool {
	return d.InstanceMarketOptions != nil && d.InstanceMarketOptions.MarketType == "spot"
}

// tags are the tags for a type of resource.
func (v *templateVersion) tags(resource string) []tag {
	var list []tag
	for _, spec := range v.data.TagSpecifications.List {
		if spec.ResourceType == resource {
			list = append(list, spec.Tags.List...)
		}
	}
	return list
}

// templateSpec names a launch template, as Auto Scaling writes it.
type templateSpec struct {
	LaunchTemplateID   string `q:"LaunchTemplateId" xml:"LaunchTemplateId,omitempty"`
	LaunchTemplateName string `xml:"LaunchTemplateName,omitempty"`
	Version            string `xml:"Version,omitempty"`
}

func (s *Server) newTemplate(name string, data templateData) *template {
	s.made++
	t := &template{
		id: fmt.Sprintf("lt-0%016x", 0xa000000000000+s.made), name: name, created: s.elapsed(), standard: 1,
	}
	t.add(data, "", s.elapsed())
	s.templates = append(s.templates, t)
	return t
}

func (t *template) add(data templateData, description string, at time.Duration) *templateVersion {
	v := &templateVersion{of: t, number: len(t.versions) + 1, description: description, created: at, data: data}
	t.versions = append(t.versions, v)
	return v
}

// findTemplate returns a template by id or name, or nil.
func (s *Server) findTemplate(id, name string) *template {
	for _, t := range s.templates {
		if id != "" && t.id == id || id == "" && t.name == name {
			return t
		}
	}
	return nil
}

// version returns the version that a text names, or nil.
func (t *template) version(text string) *templateVersion {
	n := t.standard
	switch text {
	case "", "$Default":
	case "$Latest":
		n = len(t.versions)
	default:
		k, err := strconv.Atoi(text)
		if err != nil {
			return nil
		}
		n = k
	}
	if n < 1 || n > len(t.versions) {
		return nil
	}
	return t.versions[n-1]
}

// launchVersion returns the version that new instances of the group get, or nil if it does not exist.
func (g *group) launchVersion() *templateVersion {
	spec := g.template
	if g.mixed != nil {
		spec = g.mixed.LaunchTemplate.LaunchTemplateSpecification
	}
	if spec == nil {
		return nil
	}
	if t := g.server.findTemplate(spec.LaunchTemplateID, spec.LaunchTemplateName); t != nil {
		return t.version(spec.Version)
	}
	return nil
}

// checked completes a template that a request for a group names.
func (spec *templateSpec) checked(s *Server) error {
	t := s.findTemplate(spec.LaunchTemplateID, spec.LaunchTemplateName)
	if t == nil {
		return invalid("You must use a valid fully-formed launch template. The specified launch template, with template %s, does not exist.",
			first(spec.LaunchTemplateID, "name "+spec.LaunchTemplateName))
	}
	spec.LaunchTemplateID, spec.LaunchTemplateName = t.id, t.name
	if t.version(spec.Version) == nil {
		return invalid("You must use a valid fully-formed launch template. Could not find launch template version %s", spec.Version)
	}
	setDefault(&spec.Version, "$Default")
	return nil
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// noTemplate is EC2's answer to a template that does not exist.
func noTemplate(id, name string) *apiError {
	if id != "" {
		return refuse("InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID %s, does not exist.", id)
	}
	return refuse("InvalidLaunchTemplateName.NotFoundException", "The specified launch template, with template name %s, does not exist.", name)
}
