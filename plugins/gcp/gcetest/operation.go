package gcetest

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
)

// operation is a long-running operation, or something that Google did by itself.
type operation struct {
	id       uint64
	name     string
	place    string // zones/ZONE, regions/REGION or global
	kind     string // as "compute.instanceGroupManagers.resize"
	target   string // path below the project
	targetID uint64
	user     string
	message  string
	from, to time.Duration
	fault    *OperationFault
}

const (
	maxOperations = 5000
	repairKind    = "compute.instances.repair.recreateInstance" // of what a group does with an instance
)

var uuid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// once runs a method, unless a request with the same id was answered already.
func (s *Server) once(c *call, to *route) (proto.Message, error) {
	key := ""
	if field := to.in.Descriptor().Fields().ByName("request_id"); field != nil {
		if id := c.in.ProtoReflect().Get(field).String(); id != "" {
			if !uuid.MatchString(id) || strings.Trim(id, "0-") == "" {
				return nil, invalid("Invalid value for field 'requestId': '%s'. The request ID must be a valid UUID other than the zero UUID.", id)
			}
			key = c.method + " " + c.target(to) + " " + id
		}
	}
	if op := s.byRequest[key]; op != nil && key != "" {
		return s.render(op), nil
	}
	if c.fault != nil && c.fault.Operation != nil && returnsOperation(to) {
		op := c.operate(c.place(), c.target(to), 0)
		op.fault = s.fill(*c.fault.Operation, c.target(to))
		return s.first(op), nil
	}
	out, err := to.method.run(c, c.in)
	if err != nil {
		return nil, err
	}
	if op, ok := out.(*computepb.Operation); ok && key != "" {
		s.byRequest[key] = s.operation(c.place(), op.GetName())
	}
	return out, nil
}

func returnsOperation(to *route) bool {
	verb := strings.ToLower(to.name[strings.LastIndex(to.name, ".")+1:])
	return !strings.HasPrefix(verb, "get") && !strings.Contains(verb, "list") && verb != "wait"
}

// place is where the call's operations are.
func (c *call) place() string {
	if z := c.vars["zone"]; z != "" {
		return "zones/" + z
	}
	if r := c.vars["region"]; r != "" {
		return "regions/" + r
	}
	return "global"
}

// target is the path of the resource that a call is about, below the project.
func (c *call) target(to *route) string {
	last := 0
	for i, s := range to.segments {
		if strings.HasPrefix(s, "{") {
			last = i
		}
	}
	var path []string
	for _, s := range to.segments[:last+1] {
		if name, isVar := strings.CutPrefix(s, "{"); isVar {
			s = c.vars[strings.TrimSuffix(name, "}")]
		}
		path = append(path, s)
	}
	return strings.TrimPrefix(strings.Join(path, "/"), "projects/"+c.cfg.Project+"/")
}

// operate begins the operation of a call.
func (c *call) operate(place, target string, targetID uint64) *operation {
	kind := "compute." + lowerFirst(strings.TrimPrefix(c.method, "region"))
	user := "developer@example.com"
	if c.who != nil {
		user = c.who.Email
	}
	op := c.write("operation", kind, place, target, targetID)
	op.user, op.to = user, op.from+c.cfg.Operation
	return op
}

// record writes down something that Google did by itself. Message says what.
func (s *Server) record(kind, message string, in *instance) {
	prefix := "systemevent"
	if kind == repairKind {
		prefix = "repair"
	}
	op := s.write(prefix, kind, "zones/"+in.zone.name, in.path(), in.id)
	op.user, op.message = "system", message
}

func (s *Server) write(prefix, kind, place, target string, targetID uint64) *operation {
	now := s.elapsed()
	s.numbers++
	op := &operation{id: cloudID(s.cfg.Project, s.numbers), place: place, kind: kind, target: target, targetID: targetID, from: now, to: now}
	op.name = fmt.Sprintf("%s-%d-%012x-%08x-%08x", prefix, s.at(now).UnixMilli(), op.id>>16, s.numbers, op.id&0xffffffff)
	s.ops = append(s.ops, op)
	if len(s.ops) > maxOperations {
		s.ops = s.ops[len(s.ops)-maxOperations:]
	}
	return op
}

// done begins the operation of a call, and returns the first answer for it.
func (c *call) done(target string, id uint64) (*computepb.Operation, error) {
	return c.first(c.operate(c.place(), target, id)), nil
}

func (s *Server) operation(place, name string) *operation {
	for _, op := range s.ops {
		if op.place == place && op.name == name {
			return op
		}
	}
	return nil
}

// first is the answer to the call that began an operation. It says never that the operation is done.
func (s *Server) first(op *operation) *computepb.Operation {
	out := s.render(op)
	out.Status, out.Progress, out.EndTime = computepb.Operation_RUNNING.Enum(), proto.Int32(0), nil
	out.Error, out.HttpErrorMessage, out.HttpErrorStatusCode = nil, nil, nil
	return out
}

// render is the operation as it is now.
func (s *Server) render(op *operation) *computepb.Operation {
	out := &computepb.Operation{
		Kind: proto.String("compute#operation"), Id: &op.id, Name: &op.name, OperationType: proto.String(shortKind(op.kind)), User: &op.user,
		InsertTime: proto.String(s.stamp(op.from)), StartTime: proto.String(s.stamp(op.from)), Status: computepb.Operation_RUNNING.Enum(), Progress: proto.Int32(0),
		SelfLink: proto.String(s.link(op.place + "/operations/" + op.name)), TargetLink: proto.String(s.link(op.target)),
	}
	if op.targetID != 0 {
		out.TargetId = &op.targetID
	}
	if op.message != "" {
		out.StatusMessage = &op.message
	}
	switch kind, _, _ := strings.Cut(op.place, "/"); kind {
	case "zones":
		out.Zone = proto.String(s.link(op.place))
	case "regions":
		out.Region = proto.String(s.link(op.place))
	}
	if s.elapsed() < op.to {
		return out
	}
	out.Status, out.Progress, out.EndTime = computepb.Operation_DONE.Enum(), proto.Int32(100), proto.String(s.stamp(op.to))
	if f := op.fault; f != nil {
		out.Error = &computepb.Error{Errors: []*computepb.Errors{{Code: &f.Code, Message: &f.Message}}}
		out.HttpErrorStatusCode = proto.Int32(int32(f.Status)) //nolint:gosec // a status of HTTP
		out.HttpErrorMessage = proto.String(strings.ToUpper(http.StatusText(f.Status)))
	}
	return out
}

// shortKind is the type of an operation: what Google does has a long one, what callers do a short one.
func shortKind(kind string) string {
	for _, system := range []string{".preempted", ".hostError", ".automaticRestart", ".repair.", "deleteInstances", "createInstances", "recreateInstances", "abandonInstances", "resize"} {
		if strings.Contains(kind, system) {
			return kind
		}
	}
	return kind[strings.LastIndex(kind, ".")+1:]
}

func getOperation(c *call) (*computepb.Operation, error) {
	op := c.Server.operation(c.place(), c.vars["operation"])
	if op == nil {
		return nil, c.missing(c.place() + "/operations/" + c.vars["operation"])
	}
	return c.render(op), nil
}

// longestWait is how long a call of wait lasts at most.
const longestWait = 2 * time.Minute

func waitOperation(c *call) (*computepb.Operation, error) {
	out, err := getOperation(c)
	if err != nil || out.GetStatus() == computepb.Operation_DONE {
		return out, err
	}
	op := c.Server.operation(c.place(), c.vars["operation"])
	if c.cfg.Now != nil {
		c.delay += 10 * time.Millisecond // the time is turned by the test
		return out, nil
	}
	left := op.to - c.elapsed()
	c.delay += min(left, longestWait)
	if left > longestWait {
		return out, nil
	}
	early := *op
	early.to = 0
	out = c.render(&early)
	out.EndTime = proto.String(c.stamp(op.to))
	return out, nil
}

func listOperations(c *call, in listRequest) (*computepb.OperationList, error) {
	out := &computepb.OperationList{Kind: proto.String("compute#operationList"), Id: proto.String(c.id()), SelfLink: proto.String(c.link(c.place() + "/operations"))}
	var all []*computepb.Operation
	for i := len(c.ops) - 1; i >= 0; i-- { // the newest first
		if op := c.ops[i]; op.place == c.place() {
			all = append(all, c.render(op))
		}
	}
	var err error
	out.Items, out.NextPageToken, err = page(c, all, in)
	return out, err
}

// cloudID is a number that looks like an id of Google, and is the same for the same name and number.
func cloudID(name string, n uint64) uint64 {
	return uint64(cloudmodel.Uniform(hash(name), cloudmodel.StreamReady, n)*(1<<62)) | 1<<62
}

func hash(text string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for _, b := range []byte(text) {
		h = (h ^ uint64(b)) * 0x100000001b3
	}
	return h
}
