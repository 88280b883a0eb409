package ec2

import (
	"slices"
	"time"
)

type (
	describeImagesInput struct {
		Executable        items[string] `q:"ExecutableBy"`
		Filters           items[filter] `q:"Filter"`
		IDs               items[string] `q:"ImageId"`
		Owners            items[string] `q:"Owner"`
		IncludeDeprecated bool
		NextToken         string
		MaxResults        *int
	}
	describeImagesOutput struct {
		Images    items[imageXML] `xml:"imagesSet"`
		NextToken string          `xml:"nextToken,omitempty"`
	}
	imageXML struct {
		ID             string     `xml:"imageId"`
		Location       string     `xml:"imageLocation"`
		State          string     `xml:"imageState"`
		Owner          string     `xml:"imageOwnerId"`
		CreationDate   string     `xml:"creationDate"`
		Public         bool       `xml:"isPublic"`
		Architecture   string     `xml:"architecture"`
		Type           string     `xml:"imageType"`
		Alias          string     `xml:"imageOwnerAlias"`
		Name           string     `xml:"name"`
		Description    string     `xml:"description"`
		Platform       string     `xml:"platform,omitempty"`
		PlatformText   string     `xml:"platformDetails"`
		Usage          string     `xml:"usageOperation"`
		RootType       string     `xml:"rootDeviceType"`
		RootName       string     `xml:"rootDeviceName"`
		Virtualization string     `xml:"virtualizationType"`
		Hypervisor     string     `xml:"hypervisor"`
		EnaSupport     bool       `xml:"enaSupport"`
		Tags           items[tag] `xml:"tagSet"`
	}
)

func describeImages(c *call, in *describeImagesInput) (*describeImagesOutput, error) {
	for _, id := range in.IDs.List {
		if c.images[id] == nil {
			return nil, refuse("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id)
		}
	}
	all := map[string]*Image{}
	for id, i := range c.images {
		fits, err := matches(in.Filters.List, i.attributes)
		if err != nil {
			return nil, err
		}
		if owners := in.Owners.List; fits && (len(owners) == 0 || slices.Contains(owners, "amazon") || slices.Contains(owners, amazon)) {
			all[id] = i
		}
	}
	list, next, err := page(all, in.IDs.List, in.NextToken, in.MaxResults, c.limits(1000, 1, 1000))
	if err != nil {
		return nil, err
	}
	out := &describeImagesOutput{NextToken: next}
	for _, i := range list {
		out.Images.List = append(out.Images.List, i.answer())
	}
	return out, nil
}

// amazon is the account of Amazon's own images.
const amazon = "137112412989"

func (i *Image) answer() imageXML {
	x := imageXML{
		ID: i.ID, Location: "amazon/" + i.Name, State: "available", Owner: amazon, CreationDate: stamp(time.Date(2024, 9, 11, 0, 0, 0, 0, time.UTC)), Public: true,
		Architecture: i.Architecture, Type: "machine", Alias: "amazon", Name: i.Name, Description: i.Name, PlatformText: "Linux/UNIX", Usage: "RunInstances",
		RootType: "ebs", RootName: "/dev/xvda", Virtualization: "hvm", Hypervisor: "xen", EnaSupport: true,
	}
	if i.Windows {
		x.Platform, x.PlatformText, x.Usage = "windows", "Windows", "RunInstances:0002"
	}
	return x
}

func (i *Image) attributes(name string) ([]string, bool) {
	x := i.answer()
	v, known := map[string]string{
		"name": x.Name, "image-id": x.ID, "architecture": x.Architecture, "state": x.State, "platform": x.Platform, "owner-id": x.Owner, "owner-alias": x.Alias,
		"virtualization-type": x.Virtualization, "root-device-type": x.RootType, "is-public": "true",
	}[name]
	return []string{v}, known
}

type (
	terminateInstancesInput struct {
		InstanceIDs items[string] `q:"InstanceId,required"`
	}
	terminateInstancesOutput struct {
		Instances items[changeXML] `xml:"instancesSet"`
	}
	changeXML struct {
		ID       string   `xml:"instanceId"`
		Current  stateXML `xml:"currentState"`
		Previous stateXML `xml:"previousState"`
	}
)

func (in *terminateInstancesInput) target(c *call) target {
	return c.ofInstance(first(in.InstanceIDs.List...))
}

func terminateInstances(c *call, in *terminateInstancesInput) (*terminateInstancesOutput, error) {
	all, _, err := c.allViews()
	if err != nil {
		return nil, err
	}
	if err := checkIDs(in.InstanceIDs.List, func(id string) bool { return all[id] != nil }); err != nil {
		return nil, err
	}
	out := &terminateInstancesOutput{}
	for _, id := range in.InstanceIDs.List {
		i := all[id]
		before := i.state
		if err := i.stop(c, c.elapsed()); err != nil {
			return nil, err
		}
		out.Instances.List = append(out.Instances.List, changeXML{id, stateXML{i.state.code(), i.state.name()}, stateXML{before.code(), before.name()}})
	}
	return out, nil
}
