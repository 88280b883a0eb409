package gcetest

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
	"github.com/taskscaler/taskscaler/pkg/failure"
)

// Why creates fail at Google, in its words. {project}, {zone}, {region}, {image} and {name} stand for those of the instance.
func createTexts() map[string]OperationFault {
	list := []OperationFault{
		{"ZONE_RESOURCE_POOL_EXHAUSTED", "The zone 'projects/{project}/zones/{zone}' does not have enough resources available to fulfill the request.  Try a different " +
			"zone, or try again later.", http.StatusServiceUnavailable},
		{"ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", "The zone 'projects/{project}/zones/{zone}' does not have enough resources available to fulfill the request.  " +
			"'(resource type:compute)'.", http.StatusServiceUnavailable},
		{"QUOTA_EXCEEDED", "Quota 'CPUS' exceeded.  Limit: 24.0 in region {region}.", http.StatusForbidden},
		{"RESOURCE_NOT_FOUND", "The resource '{image}' was not found", http.StatusNotFound},
		{"RESOURCE_OPERATION_RATE_EXCEEDED", "Operation rate exceeded for resource 'projects/{project}/zones/{zone}/disks/{name}'. Too frequent operations from the " +
			"source resource.", http.StatusForbidden},
		{"IP_SPACE_EXHAUSTED", "IP space of 'projects/{project}/regions/{region}/subnetworks/default' is exhausted.", http.StatusBadRequest},
		{"PERMISSIONS_ERROR", "Required 'compute.images.useReadOnly' permission for '{image}'", http.StatusForbidden},
		{"CONDITION_NOT_MET", "Constraint constraints/compute.vmExternalIpAccess violated for project {project}. Add instance " +
			"projects/{project}/zones/{zone}/instances/{name} to the constraint to use external IP with it.", http.StatusPreconditionFailed},
		{"RATE_LIMIT_EXCEEDED", "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute' of service 'compute.googleapis.com'.", http.StatusForbidden},
		{"INTERNAL_ERROR", "Internal error. Please try again or contact Google Support. (Code: '5A1F1B0C2D3E4')", http.StatusInternalServerError},
	}
	all := map[string]OperationFault{}
	for _, f := range list {
		all[f.Code] = f
	}
	return all
}

// CreateFaults returns the codes of the faults whose messages this server knows, in alphabetical order.
func CreateFaults() []string { return slices.Sorted(maps.Keys(createTexts())) }

// fill completes a fault, with the names in a path of an instance or another resource.
func (s *Server) fill(f OperationFault, path string) *OperationFault {
	known := createTexts()[f.Code]
	setDefault(&f.Message, known.Message)
	setDefault(&f.Status, known.Status)
	setDefault(&f.Status, http.StatusBadRequest)
	part := strings.Split(path+"///", "/")
	region, zone := part[1], part[1]
	if z := s.zone(zone); z != nil {
		region = z.region
	}
	f.Message = strings.NewReplacer("{project}", s.cfg.Project, "{zone}", zone, "{region}", region, "{name}", part[3]).Replace(f.Message)
	return &f
}

// create makes the instances that are missing.
func (g *group) create(at time.Duration) {
	var want []*member
	for _, m := range g.members {
		if m.wantsInstance() && m.due <= at {
			if m.zone.stockOut && m.action != recreating { // the group may look for another zone
				if z := g.bestZone(); !z.stockOut && g.shape() != even {
					m.zone = z
				}
			}
			if f := g.refusal(m); f != nil {
				m.failed(at, *f)
				continue
			}
			want = append(want, m)
		}
	}
	if len(want) == 0 {
		return
	}
	made := g.model.Create(at, len(want))
	for i, m := range want {
		if i >= made.Made {
			m.failed(at, OperationFault{Code: codeOf(made.Failure)})
			continue
		}
		m.in = m.newInstance(made.First+uint64(i), at) //nolint:gosec // not negative
		m.due = cloudmodel.Never
	}
}

// refusal is why an instance cannot be created, whatever the model says.
func (g *group) refusal(m *member) *OperationFault {
	if len(g.faults) > 0 {
		f := g.faults[0]
		g.faults = g.faults[1:]
		return &f
	}
	t := g.template()
	switch {
	case t == nil:
		return &OperationFault{Code: "RESOURCE_NOT_FOUND", Message: "The resource '" + g.server.full(g.server.unlink(g.spec.GetInstanceTemplate())) + "' was not found"}
	case g.server.image(sourceImage(t)) == nil:
		return &OperationFault{Code: "RESOURCE_NOT_FOUND"}
	case m.zone.stockOut:
		return &OperationFault{Code: "ZONE_RESOURCE_POOL_EXHAUSTED"}
	}
	return nil
}

// codeOf says a failure of the model as Google would.
func codeOf(f failure.Failure) string {
	switch f.Kind { //nolint:exhaustive // the others are internal errors
	case failure.Capacity:
		return "ZONE_RESOURCE_POOL_EXHAUSTED"
	case failure.Quota:
		return "QUOTA_EXCEEDED"
	case failure.Throttled:
		return "RATE_LIMIT_EXCEEDED"
	case failure.Config:
		return "RESOURCE_NOT_FOUND"
	}
	return "INTERNAL_ERROR"
}

// failed writes down why an instance was not created, and sets when the group tries again.
func (m *member) failed(at time.Duration, f OperationFault) {
	g, path := m.group, "zones/"+m.zone.name+"/instances/"+m.name
	filled := g.server.fill(f, path)
	image := ""
	if t := g.template(); t != nil {
		image = g.server.full(g.server.unlink(sourceImage(t)))
	}
	filled.Message = "Instance '" + m.name + "' creation failed: " + strings.ReplaceAll(filled.Message, "{image}", image)
	m.fault = filled
	g.errors = append(g.errors, &computepb.InstanceManagedByIgmError{
		Timestamp: proto.String(g.server.stamp(at)),
		Error:     &computepb.InstanceManagedByIgmErrorManagedInstanceError{Code: &filled.Code, Message: &filled.Message},
		InstanceActionDetails: &computepb.InstanceManagedByIgmErrorInstanceActionDetails{
			Action: proto.String(m.action), Instance: proto.String(g.server.link(path)),
			Version: &computepb.ManagedInstanceVersion{InstanceTemplate: proto.String(g.spec.GetInstanceTemplate())},
		},
	})
	if len(g.errors) > maxErrors {
		g.errors = g.errors[len(g.errors)-maxErrors:]
	}
	if m.action == once {
		g.target--
		m.leave()
		return
	}
	if m.wait == 0 {
		m.wait = g.cfg.Retry
	} else {
		m.wait = min(2*m.wait, max(lastRetry, g.cfg.Retry))
	}
	m.due = at + m.wait
}
