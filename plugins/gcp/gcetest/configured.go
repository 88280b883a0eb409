package gcetest

import (
	"fmt"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
)

// addConfigured adds a group of the Config, with its template and its autoscaler.
func (s *Server) addConfigured(cfg GroupConfig) error {
	if (cfg.Zone == "") == (cfg.Region == "") {
		return fmt.Errorf("the group %q needs either a Zone or a Region", cfg.Name)
	}
	setDefault(&cfg.Image, ImageLinux)
	im := s.image(cfg.Image)
	if im == nil {
		return fmt.Errorf("the group %q: there is no image %q", cfg.Name, cfg.Image)
	}
	kind := "e2-standard-2"
	if im.Architecture == "ARM64" {
		kind = "t2a-standard-2"
	}
	setDefault(&cfg.MachineType, kind)
	name := cfg.Name
	if s.templates["global/instanceTemplates/"+name] != nil { // of a group of the same name elsewhere
		name += "-" + cfg.Zone + cfg.Region
	}
	t := s.configuredTemplate(&cfg, name)
	path := "global/instanceTemplates/" + name
	s.templates[path] = t
	spec := s.configuredSpec(&cfg, path)
	place := "zones/" + cfg.Zone
	if cfg.Region != "" {
		place = "regions/" + cfg.Region
	}
	g, err := s.newGroup(place, spec, cfg)
	if err != nil {
		return err
	}
	if cfg.Autoscaler != "" {
		s.addAutoscaler(g, cfg.Autoscaler)
	}
	g.resize(s.elapsed(), cfg.TargetSize)
	return nil
}

// configuredSpec is what somebody would have inserted.
func (s *Server) configuredSpec(cfg *GroupConfig, template string) *computepb.InstanceGroupManager {
	spec := &computepb.InstanceGroupManager{
		Name: &cfg.Name, BaseInstanceName: &cfg.Name, InstanceTemplate: proto.String(s.link(template)),
		UpdatePolicy: &computepb.InstanceGroupManagerUpdatePolicy{Type: proto.String("OPPORTUNISTIC")},
	}
	if cfg.UpdatePolicy != "" {
		spec.UpdatePolicy.Type = &cfg.UpdatePolicy
	}
	if cfg.Region != "" {
		spec.DistributionPolicy = &computepb.DistributionPolicy{TargetShape: proto.String(first(cfg.Shape, even))}
		for _, z := range cfg.Zones {
			spec.DistributionPolicy.Zones = append(spec.DistributionPolicy.Zones, &computepb.DistributionPolicyZoneConfiguration{Zone: proto.String(s.link("zones/" + z))})
		}
		spec.UpdatePolicy.InstanceRedistributionType = proto.String("NONE")
		if cfg.Redistribute {
			spec.UpdatePolicy.InstanceRedistributionType = proto.String("PROACTIVE")
		}
	}
	if cfg.Autohealing {
		spec.AutoHealingPolicies = []*computepb.InstanceGroupManagerAutoHealingPolicy{
			{HealthCheck: proto.String(s.link("global/healthChecks/" + cfg.Name)), InitialDelaySec: proto.Int32(300)},
		}
	}
	if cfg.NoRepair {
		spec.InstanceLifecyclePolicy = &computepb.InstanceGroupManagerInstanceLifecyclePolicy{DefaultActionOnFailure: proto.String("DO_NOTHING")}
	}
	if cfg.Paginated {
		spec.ListManagedInstancesResults = proto.String("PAGINATED")
	}
	return spec
}

// configuredTemplate is the template of a group of the Config.
func (s *Server) configuredTemplate(cfg *GroupConfig, name string) *computepb.InstanceTemplate {
	nic := &computepb.NetworkInterface{Name: proto.String("nic0"), Network: proto.String(s.link("global/networks/default"))}
	if cfg.External {
		nic.AccessConfigs = []*computepb.AccessConfig{{Name: proto.String("External NAT"), Type: proto.String("ONE_TO_ONE_NAT"), Kind: proto.String("compute#accessConfig")}}
	}
	if cfg.IPv6 {
		nic.StackType, nic.Ipv6AccessType = proto.String("IPV4_IPV6"), proto.String("EXTERNAL")
		nic.Ipv6AccessConfigs = []*computepb.AccessConfig{{Name: proto.String("External IPv6"), Type: proto.String("DIRECT_IPV6")}}
	}
	scheduling := &computepb.Scheduling{AutomaticRestart: proto.Bool(true), OnHostMaintenance: proto.String("MIGRATE"), ProvisioningModel: proto.String("STANDARD")}
	if cfg.Spot {
		scheduling = &computepb.Scheduling{AutomaticRestart: proto.Bool(false), OnHostMaintenance: proto.String("TERMINATE"), ProvisioningModel: proto.String("SPOT"),
			Preemptible: proto.Bool(true), InstanceTerminationAction: proto.String("STOP")}
	}
	t := &computepb.InstanceTemplate{Name: &name, Properties: &computepb.InstanceProperties{
		MachineType: &cfg.MachineType, Labels: cfg.Labels, Scheduling: scheduling, NetworkInterfaces: []*computepb.NetworkInterface{nic},
		Metadata: &computepb.Metadata{Kind: proto.String("compute#metadata"), Items: items(cfg.Metadata)},
		Disks: []*computepb.AttachedDisk{{
			Boot: proto.Bool(true), AutoDelete: proto.Bool(true), Mode: proto.String("READ_WRITE"), Type: proto.String("PERSISTENT"),
			InitializeParams: &computepb.AttachedDiskInitializeParams{SourceImage: proto.String(linkBase + cfg.Image), DiskSizeGb: proto.Int64(20)},
		}},
	}}
	if cfg.Account != "" {
		t.Properties.ServiceAccounts = []*computepb.ServiceAccount{{Email: &cfg.Account, Scopes: []string{"https://www.googleapis.com/auth/cloud-platform"}}}
	}
	s.finishTemplate(t, "global")
	return t
}
