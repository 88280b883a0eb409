package gcetest

import (
	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
)

// The permissions that methods need.
const (
	mayGetGroup    = "compute.instanceGroupManagers.get"
	mayListGroups  = "compute.instanceGroupManagers.list"
	mayChangeGroup = "compute.instanceGroupManagers.update"
	mayMakeGroup   = "compute.instanceGroupManagers.create compute.instances.create compute.instanceTemplates.useReadOnly"
	mayMakeTmpl    = "compute.instanceTemplates.create"
)

type (
	zonalMembers    = computepb.InstanceGroupManagersListManagedInstancesResponse
	regionalMembers = computepb.RegionInstanceGroupManagersListInstancesResponse
)

// methods are the methods of this server, by their names.
func methods() map[string]*method {
	t := map[string]*method{}
	zonalGroups(t)
	zonalLists(t)
	regionalGroups(t)
	regionalLists(t)
	instanceMethods(t)
	operationMethods(t)
	setUpMethods(t)
	autoscalerMethods(t)
	placeMethods(t)
	return t
}

// Permissions returns the permissions that a method of this server needs, as "instances.list"; nil for methods that it does not have. Who changes the metadata of an
// instance that runs as a service account needs iam.serviceAccounts.actAs too.
func Permissions(method string) []string {
	if m := methods()[method]; m != nil {
		return m.permissions
	}
	return nil
}

func zonalGroups(t map[string]*method) {
	const s = "instanceGroupManagers."
	type op = *computepb.Operation
	add(t, s+"get", mayGetGroup, func(c *call, _ *computepb.GetInstanceGroupManagerRequest) (*computepb.InstanceGroupManager, error) {
		return c.getGroup()
	})
	add(t, s+"resize", mayChangeGroup, func(c *call, in *computepb.ResizeInstanceGroupManagerRequest) (op, error) {
		return c.resize(in.GetSize())
	})
	add(t, s+"createInstances", mayChangeGroup+" compute.instances.create", func(c *call, in *computepb.CreateInstancesInstanceGroupManagerRequest) (op, error) {
		return c.createInstances(in.GetInstanceGroupManagersCreateInstancesRequestResource().GetInstances())
	})
	add(t, s+"deleteInstances", mayChangeGroup, func(c *call, in *computepb.DeleteInstancesInstanceGroupManagerRequest) (op, error) {
		return c.deleteInstances(in.GetInstanceGroupManagersDeleteInstancesRequestResource())
	})
	add(t, s+"recreateInstances", mayChangeGroup, func(c *call, in *computepb.RecreateInstancesInstanceGroupManagerRequest) (op, error) {
		return c.recreateInstances(in.GetInstanceGroupManagersRecreateInstancesRequestResource())
	})
	add(t, s+"abandonInstances", mayChangeGroup, func(c *call, in *computepb.AbandonInstancesInstanceGroupManagerRequest) (op, error) {
		return c.abandonInstances(in.GetInstanceGroupManagersAbandonInstancesRequestResource())
	})
	add(t, s+"patch", mayChangeGroup, func(c *call, in *computepb.PatchInstanceGroupManagerRequest) (op, error) {
		return c.patchGroup(in.GetInstanceGroupManagerResource())
	})
	add(t, s+"insert", mayMakeGroup, func(c *call, in *computepb.InsertInstanceGroupManagerRequest) (op, error) {
		return c.insertGroup(in.GetInstanceGroupManagerResource())
	})
}

func zonalLists(t map[string]*method) {
	const s = "instanceGroupManagers."
	add(t, s+"list", mayListGroups, func(c *call, in *computepb.ListInstanceGroupManagersRequest) (*computepb.InstanceGroupManagerList, error) {
		out := &computepb.InstanceGroupManagerList{Kind: proto.String("compute#instanceGroupManagerList"), Id: proto.String(c.id()), SelfLink: c.listLink("instanceGroupManagers")}
		var err error
		out.Items, out.NextPageToken, err = page(c, c.groupsHere(), in)
		return out, err
	})
	add(t, s+"listManagedInstances", mayGetGroup, func(c *call, in *computepb.ListManagedInstancesInstanceGroupManagersRequest) (*zonalMembers, error) {
		out := &zonalMembers{}
		var err error
		out.ManagedInstances, out.NextPageToken, err = c.managedPage(in)
		return out, err
	})
	add(t, s+"listErrors", mayListGroups, func(c *call, in *computepb.ListErrorsInstanceGroupManagersRequest) (*computepb.InstanceGroupManagersListErrorsResponse, error) {
		out := &computepb.InstanceGroupManagersListErrorsResponse{}
		var err error
		out.Items, out.NextPageToken, err = c.errorPage(in)
		return out, err
	})
}

func regionalGroups(t map[string]*method) {
	const s = "regionInstanceGroupManagers."
	type op = *computepb.Operation
	add(t, s+"get", mayGetGroup, func(c *call, _ *computepb.GetRegionInstanceGroupManagerRequest) (*computepb.InstanceGroupManager, error) {
		return c.getGroup()
	})
	add(t, s+"resize", mayChangeGroup, func(c *call, in *computepb.ResizeRegionInstanceGroupManagerRequest) (op, error) {
		return c.resize(in.GetSize())
	})
	add(t, s+"createInstances", mayChangeGroup+" compute.instances.create", func(c *call, in *computepb.CreateInstancesRegionInstanceGroupManagerRequest) (op, error) {
		return c.createInstances(in.GetRegionInstanceGroupManagersCreateInstancesRequestResource().GetInstances())
	})
	add(t, s+"deleteInstances", mayChangeGroup, func(c *call, in *computepb.DeleteInstancesRegionInstanceGroupManagerRequest) (op, error) {
		return c.deleteInstances(in.GetRegionInstanceGroupManagersDeleteInstancesRequestResource())
	})
	add(t, s+"recreateInstances", mayChangeGroup, func(c *call, in *computepb.RecreateInstancesRegionInstanceGroupManagerRequest) (op, error) {
		return c.recreateInstances(in.GetRegionInstanceGroupManagersRecreateRequestResource())
	})
	add(t, s+"abandonInstances", mayChangeGroup, func(c *call, in *computepb.AbandonInstancesRegionInstanceGroupManagerRequest) (op, error) {
		return c.abandonInstances(in.GetRegionInstanceGroupManagersAbandonInstancesRequestResource())
	})
	add(t, s+"patch", mayChangeGroup, func(c *call, in *computepb.PatchRegionInstanceGroupManagerRequest) (op, error) {
		return c.patchGroup(in.GetInstanceGroupManagerResource())
	})
	add(t, s+"insert", mayMakeGroup, func(c *call, in *computepb.InsertRegionInstanceGroupManagerRequest) (op, error) {
		return c.insertGroup(in.GetInstanceGroupManagerResource())
	})
}

func regionalLists(t map[string]*method) {
	const s = "regionInstanceGroupManagers."
	add(t, s+"list", mayListGroups, func(c *call, in *computepb.ListRegionInstanceGroupManagersRequest) (*computepb.RegionInstanceGroupManagerList, error) {
		out := &computepb.RegionInstanceGroupManagerList{Kind: proto.String("compute#regionInstanceGroupManagerList"), Id: proto.String(c.id()), SelfLink: c.listLink("instanceGroupManagers")}
		var err error
		out.Items, out.NextPageToken, err = page(c, c.groupsHere(), in)
		return out, err
	})
	add(t, s+"listManagedInstances", mayGetGroup, func(c *call, in *computepb.ListManagedInstancesRegionInstanceGroupManagersRequest) (*regionalMembers, error) {
		out := &regionalMembers{}
		var err error
		out.ManagedInstances, out.NextPageToken, err = c.managedPage(in)
		return out, err
	})
	add(t, s+"listErrors", mayListGroups, func(c *call, in *computepb.ListErrorsRegionInstanceGroupManagersRequest) (*computepb.RegionInstanceGroupManagersListErrorsResponse, error) {
		out := &computepb.RegionInstanceGroupManagersListErrorsResponse{}
		var err error
		out.Items, out.NextPageToken, err = c.errorPage(in)
		return out, err
	})
}

func instanceMethods(t map[string]*method) {
	add(t, "instances.get", "compute.instances.get", getInstance)
	add(t, "instances.list", "compute.instances.list", listInstances)
	add(t, "instances.aggregatedList", "compute.instances.list", aggregatedList)
	add(t, "instances.delete", "compute.instances.delete", deleteInstance)
	add(t, "instances.setMetadata", "compute.instances.setMetadata", setMetadata)
	add(t, "instances.getGuestAttributes", "compute.instances.getGuestAttributes", getGuestAttributes)
	add(t, "instances.getSerialPortOutput", "compute.instances.getSerialPortOutput", getSerialPortOutput)
	add(t, "disks.get", "compute.disks.get", getDisk)
}

func operationMethods(t map[string]*method) {
	type op = *computepb.Operation
	add(t, "zoneOperations.get", "compute.zoneOperations.get", func(c *call, _ *computepb.GetZoneOperationRequest) (op, error) { return getOperation(c) })
	add(t, "zoneOperations.wait", "compute.zoneOperations.get", func(c *call, _ *computepb.WaitZoneOperationRequest) (op, error) { return waitOperation(c) })
	add(t, "zoneOperations.list", "compute.zoneOperations.list", func(c *call, in *computepb.ListZoneOperationsRequest) (*computepb.OperationList, error) {
		return listOperations(c, in)
	})
	add(t, "regionOperations.get", "compute.regionOperations.get", func(c *call, _ *computepb.GetRegionOperationRequest) (op, error) { return getOperation(c) })
	add(t, "regionOperations.wait", "compute.regionOperations.get", func(c *call, _ *computepb.WaitRegionOperationRequest) (op, error) { return waitOperation(c) })
	add(t, "regionOperations.list", "compute.regionOperations.list", func(c *call, in *computepb.ListRegionOperationsRequest) (*computepb.OperationList, error) {
		return listOperations(c, in)
	})
	add(t, "globalOperations.get", "compute.globalOperations.get", func(c *call, _ *computepb.GetGlobalOperationRequest) (op, error) { return getOperation(c) })
	add(t, "globalOperations.wait", "compute.globalOperations.get", func(c *call, _ *computepb.WaitGlobalOperationRequest) (op, error) { return waitOperation(c) })
	add(t, "globalOperations.list", "compute.globalOperations.list", func(c *call, in *computepb.ListGlobalOperationsRequest) (*computepb.OperationList, error) {
		return listOperations(c, in)
	})
}

func setUpMethods(t map[string]*method) {
	type op = *computepb.Operation
	type tmpl = *computepb.InstanceTemplate
	add(t, "instanceTemplates.get", "compute.instanceTemplates.get", func(c *call, in *computepb.GetInstanceTemplateRequest) (tmpl, error) {
		return c.getTemplate(in.GetInstanceTemplate())
	})
	add(t, "instanceTemplates.insert", mayMakeTmpl, func(c *call, in *computepb.InsertInstanceTemplateRequest) (op, error) {
		return c.insertTemplate(in.GetInstanceTemplateResource())
	})
	add(t, "instanceTemplates.list", "compute.instanceTemplates.list", func(c *call, in *computepb.ListInstanceTemplatesRequest) (*computepb.InstanceTemplateList, error) {
		return c.listTemplates(in)
	})
	add(t, "regionInstanceTemplates.get", "compute.instanceTemplates.get", func(c *call, in *computepb.GetRegionInstanceTemplateRequest) (tmpl, error) {
		return c.getTemplate(in.GetInstanceTemplate())
	})
	add(t, "regionInstanceTemplates.insert", mayMakeTmpl, func(c *call, in *computepb.InsertRegionInstanceTemplateRequest) (op, error) {
		return c.insertTemplate(in.GetInstanceTemplateResource())
	})
	add(t, "regionInstanceTemplates.list", "compute.instanceTemplates.list", func(c *call, in *computepb.ListRegionInstanceTemplatesRequest) (*computepb.InstanceTemplateList, error) {
		return c.listTemplates(in)
	})
	add(t, "firewalls.insert", "compute.firewalls.create compute.networks.updatePolicy", insertFirewall)
}

func autoscalerMethods(t map[string]*method) {
	add(t, "autoscalers.get", "compute.autoscalers.get", func(c *call, in *computepb.GetAutoscalerRequest) (*computepb.Autoscaler, error) {
		return c.getAutoscaler(in.GetAutoscaler())
	})
	add(t, "autoscalers.list", "compute.autoscalers.list", func(c *call, in *computepb.ListAutoscalersRequest) (*computepb.AutoscalerList, error) {
		out := &computepb.AutoscalerList{Kind: proto.String("compute#autoscalerList"), Id: proto.String(c.id()), SelfLink: c.listLink("autoscalers")}
		var err error
		out.Items, out.NextPageToken, err = page(c, c.autoscalers(), in)
		return out, err
	})
	add(t, "regionAutoscalers.get", "compute.autoscalers.get", func(c *call, in *computepb.GetRegionAutoscalerRequest) (*computepb.Autoscaler, error) {
		return c.getAutoscaler(in.GetAutoscaler())
	})
	add(t, "regionAutoscalers.list", "compute.autoscalers.list", func(c *call, in *computepb.ListRegionAutoscalersRequest) (*computepb.RegionAutoscalerList, error) {
		out := &computepb.RegionAutoscalerList{Kind: proto.String("compute#regionAutoscalerList"), Id: proto.String(c.id()), SelfLink: c.listLink("autoscalers")}
		var err error
		out.Items, out.NextPageToken, err = page(c, c.autoscalers(), in)
		return out, err
	})
}

func placeMethods(t map[string]*method) {
	add(t, "projects.get", "compute.projects.get", getProject)
	add(t, "zones.get", "compute.zones.get", getZone)
	add(t, "zones.list", "compute.zones.list", listZones)
	add(t, "regions.get", "compute.regions.get", getRegion)
	add(t, "regions.list", "compute.regions.list", listRegions)
	add(t, "images.get", "", func(c *call, in *computepb.GetImageRequest) (*computepb.Image, error) {
		return c.getImage(in.GetImage())
	})
	add(t, "images.getFromFamily", "", func(c *call, in *computepb.GetFromFamilyImageRequest) (*computepb.Image, error) {
		return c.getImage("family/" + in.GetFamily())
	})
}
