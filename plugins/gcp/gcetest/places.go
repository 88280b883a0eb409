package gcetest

import (
	"maps"
	"slices"
	"strings"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
)

// selfLinks begin with this.
const linkBase = "https://www.googleapis.com/compute/v1/"

// full is a path from the project on.
func (s *Server) full(path string) string {
	if path == "" {
		return "projects/" + s.cfg.Project
	}
	if strings.HasPrefix(path, "projects/") {
		return path
	}
	return "projects/" + s.cfg.Project + "/" + path
}

// link is the selfLink of a path.
func (s *Server) link(path string) string { return linkBase + s.full(path) }

// unlink is the path below the project of a full or partial URL.
func (s *Server) unlink(link string) string {
	for _, prefix := range []string{"https://www.googleapis.com/compute/v1/", "https://compute.googleapis.com/compute/v1/", s.url + basePath} {
		link = strings.TrimPrefix(link, prefix)
	}
	return strings.TrimPrefix(strings.TrimPrefix(link, "/"), "projects/"+s.cfg.Project+"/")
}

// id is the id of a list.
func (c *call) id() string {
	return c.full(c.place() + "/" + c.method)
}

// listLink is the selfLink of a list at the call's place.
func (c *call) listLink(kind string) *string { return proto.String(c.link(c.place() + "/" + kind)) }

func (s *Server) projectNumber() uint64 { return cloudID(s.cfg.Project, 0) % 1e12 }

func items(m map[string]string) []*computepb.Items {
	var list []*computepb.Items
	for _, key := range slices.Sorted(maps.Keys(m)) {
		list = append(list, &computepb.Items{Key: &key, Value: proto.String(m[key])})
	}
	return list
}

// value returns an entry of metadata.
func value(m *computepb.Metadata, key string) string {
	for _, item := range m.GetItems() {
		if item.GetKey() == key {
			return item.GetValue()
		}
	}
	return ""
}

func (s *Server) zoneAnswer(z *zone) *computepb.Zone {
	return &computepb.Zone{
		Kind: proto.String("compute#zone"), Id: proto.Uint64(uint64(2000 + z.number)), Name: &z.name, Description: &z.name, Status: proto.String("UP"), //nolint:gosec // small
		Region: proto.String(s.link("regions/" + z.region)), SelfLink: proto.String(s.link("zones/" + z.name)),
	}
}

func getZone(c *call, in *computepb.GetZoneRequest) (*computepb.Zone, error) {
	return c.zoneAnswer(c.zone(in.GetZone())), nil
}

func listZones(c *call, in *computepb.ListZonesRequest) (*computepb.ZoneList, error) {
	var all []*computepb.Zone
	for _, z := range c.zones {
		all = append(all, c.zoneAnswer(z))
	}
	out := &computepb.ZoneList{Kind: proto.String("compute#zoneList"), Id: proto.String(c.full("zones")), SelfLink: proto.String(c.link("zones"))}
	var err error
	out.Items, out.NextPageToken, err = page(c, all, in)
	return out, err
}

func (s *Server) regionAnswer(name string) *computepb.Region {
	r := &computepb.Region{
		Kind: proto.String("compute#region"), Id: proto.Uint64(1000 + hash(name)%900), Name: &name, Description: &name, Status: proto.String("UP"),
		SelfLink: proto.String(s.link("regions/" + name)),
		Quotas:   []*computepb.Quota{{Metric: proto.String("CPUS"), Limit: proto.Float64(24), Usage: proto.Float64(0)}},
	}
	for _, z := range s.cfg.Regions[name] {
		r.Zones = append(r.Zones, s.link("zones/"+z))
	}
	return r
}

func getRegion(c *call, in *computepb.GetRegionRequest) (*computepb.Region, error) {
	return c.regionAnswer(in.GetRegion()), nil
}

func listRegions(c *call, in *computepb.ListRegionsRequest) (*computepb.RegionList, error) {
	var all []*computepb.Region
	for _, name := range slices.Sorted(maps.Keys(c.cfg.Regions)) {
		all = append(all, c.regionAnswer(name))
	}
	out := &computepb.RegionList{Kind: proto.String("compute#regionList"), Id: proto.String(c.full("regions")), SelfLink: proto.String(c.link("regions"))}
	var err error
	out.Items, out.NextPageToken, err = page(c, all, in)
	return out, err
}

func getProject(c *call, in *computepb.GetProjectRequest) (*computepb.Project, error) {
	m := proto.CloneOf(c.metadata)
	m.Kind, m.Fingerprint = proto.String("compute#metadata"), proto.String(fingerprint(c.metadata))
	return &computepb.Project{
		Kind: proto.String("compute#project"), Id: proto.Uint64(c.projectNumber()), Name: proto.String(in.GetProject()), SelfLink: proto.String(c.link("")),
		CreationTimestamp: proto.String(c.stamp(0)), CommonInstanceMetadata: m, DefaultNetworkTier: proto.String("PREMIUM"),
		DefaultServiceAccount: proto.String(c.defaultAccount()), XpnProjectStatus: proto.String("UNSPECIFIED_XPN_PROJECT_STATUS"),
	}, nil
}

func (s *Server) image(path string) *Image {
	for i := range s.cfg.Images {
		im := &s.cfg.Images[i]
		dir := im.Name[:strings.LastIndex(im.Name, "/")+1]
		if s.full(s.unlink(path)) == im.Name || s.full(s.unlink(path)) == dir+"family/"+im.Family {
			return im
		}
	}
	return nil
}

func (s *Server) imageAnswer(im *Image) *computepb.Image {
	return &computepb.Image{
		Kind: proto.String("compute#image"), Id: proto.Uint64(cloudID(im.Name, 1)), Name: proto.String(im.Name[strings.LastIndex(im.Name, "/")+1:]), Family: &im.Family,
		Architecture: &im.Architecture, Status: proto.String("READY"), SelfLink: proto.String(linkBase + im.Name), DiskSizeGb: proto.Int64(10),
		CreationTimestamp: proto.String(s.stamp(0)), GuestOsFeatures: features(im.Windows), SourceType: proto.String("RAW"),
	}
}

func features(windows bool) []*computepb.GuestOsFeature {
	list := []*computepb.GuestOsFeature{{Type: proto.String("UEFI_COMPATIBLE")}, {Type: proto.String("VIRTIO_SCSI_MULTIQUEUE")}, {Type: proto.String("GVNIC")}}
	if windows {
		list = append(list, &computepb.GuestOsFeature{Type: proto.String("WINDOWS")})
	}
	return list
}

func (c *call) getImage(name string) (*computepb.Image, error) {
	path := "projects/" + c.vars["project"] + "/global/images/" + name
	im := c.image(path)
	if im == nil {
		return nil, c.missing(path)
	}
	return c.imageAnswer(im), nil
}
