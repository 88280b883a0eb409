package gcetest

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// method is one method that this server has.
type method struct {
	permissions []string
	run         func(c *call, in proto.Message) (proto.Message, error)
}

// route is one method of Google, also when this server does not have it.
type route struct {
	name     string // as "instances.list"
	verb     string
	segments []string // of the path below basePath; {variable} or text
	body     protoreflect.FieldDescriptor
	in       protoreflect.MessageType
	method   *method // nil: not in this server
}

// routes finds methods, by the first segments of paths that are text.
type routes struct{ byShape map[string][]*route }

const basePath = "/compute/v1/"

// shape is what all paths of a route have in common: the verb, and how many segments there are.
func shape(verb string, segments []string) string { return fmt.Sprint(verb, len(segments)) }

// newRoutes reads the annotations of Google's messages. Each of the methods must be among them.
func newRoutes(table map[string]*method) (*routes, error) {
	r := &routes{byShape: map[string][]*route{}}
	found := 0
	services := computepb.File_google_cloud_compute_v1_compute_proto.Services()
	for i := range services.Len() {
		all := services.Get(i).Methods()
		for j := range all.Len() {
			to, err := newRoute(all.Get(j))
			if err != nil {
				return nil, err
			}
			to.method = table[to.name]
			if to.method != nil {
				found++
			}
			key := shape(to.verb, to.segments)
			r.byShape[key] = append(r.byShape[key], to)
		}
	}
	if found != len(table) {
		return nil, fmt.Errorf("of the %d methods of this server, Google has only %d", len(table), found)
	}
	return r, nil
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

func newRoute(m protoreflect.MethodDescriptor) (*route, error) {
	to := &route{name: lowerFirst(string(m.Parent().Name())) + "." + lowerFirst(string(m.Name()))}
	rule, ok := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	if !ok || rule == nil {
		return nil, fmt.Errorf("the method %s has no annotation google.api.http", m.FullName())
	}
	path := ""
	switch p := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		to.verb, path = http.MethodGet, p.Get
	case *annotations.HttpRule_Post:
		to.verb, path = http.MethodPost, p.Post
	case *annotations.HttpRule_Put:
		to.verb, path = http.MethodPut, p.Put
	case *annotations.HttpRule_Patch:
		to.verb, path = http.MethodPatch, p.Patch
	case *annotations.HttpRule_Delete:
		to.verb, path = http.MethodDelete, p.Delete
	}
	to.segments = strings.Split(strings.TrimPrefix(path, basePath), "/")
	var err error
	if to.in, err = protoregistry.GlobalTypes.FindMessageByName(m.Input().FullName()); err != nil {
		return nil, fmt.Errorf("the input of the method %s: %w", m.FullName(), err)
	}
	if rule.GetBody() != "" {
		to.body = m.Input().Fields().ByName(protoreflect.Name(rule.GetBody()))
	}
	return to, nil
}

// find returns the route of a request, and the variables of its path.
func (r *routes) find(verb, path string) (*route, map[string]string) {
	rest, ok := strings.CutPrefix(path, basePath)
	if !ok {
		return nil, nil
	}
	segments := strings.Split(rest, "/")
	for _, to := range r.byShape[shape(verb, segments)] {
		if vars := to.match(segments); vars != nil {
			return to, vars
		}
	}
	return nil, nil
}

func (to *route) match(segments []string) map[string]string {
	vars := map[string]string{}
	for i, s := range to.segments {
		name, isVar := strings.CutPrefix(s, "{")
		if !isVar {
			if s != segments[i] {
				return nil
			}
			continue
		}
		text, err := url.PathUnescape(segments[i])
		if err != nil || text == "" {
			return nil
		}
		vars[strings.TrimSuffix(name, "}")] = text
	}
	return vars
}

// decode makes the input of a method.
func (to *route) decode(vars map[string]string, query url.Values, body []byte) (proto.Message, *apiError) {
	in := to.in.New()
	fields := in.Descriptor().Fields()
	for name, text := range vars {
		in.Set(fields.ByName(protoreflect.Name(name)), protoreflect.ValueOfString(text))
	}
	for name, values := range query {
		switch name {
		case "alt", "prettyPrint", "$alt", "quotaUser":
			continue
		}
		field := fields.ByJSONName(name)
		if field == nil || field.Message() != nil || vars[string(field.Name())] != "" {
			return nil, invalid("Invalid JSON payload received. Unknown name \"%s\": Cannot bind query parameter. Field '%s' could not be found in request message.", name, name)
		}
		if fault := setParameter(in, field, values[len(values)-1]); fault != nil {
			return nil, fault
		}
	}
	if to.body == nil {
		if len(body) > 0 && string(body) != "{}" {
			return nil, invalid("Invalid JSON payload received. The method %s has no request body.", to.name)
		}
		return in.Interface(), nil
	}
	if len(body) == 0 {
		return nil, invalid("Required field 'resource' not specified").withReason("required")
	}
	if err := protojson.Unmarshal(body, in.Mutable(to.body).Message().Interface()); err != nil {
		return nil, invalid("Invalid JSON payload received. %s", err)
	}
	return in.Interface(), nil
}

// setParameter sets a field from the text of a query parameter.
func setParameter(in protoreflect.Message, field protoreflect.FieldDescriptor, text string) *apiError {
	quoted := text
	switch field.Kind() { //nolint:exhaustive // the other kinds are written as they are
	case protoreflect.StringKind, protoreflect.EnumKind:
		quoted = fmt.Sprintf("%q", text)
	}
	if field.IsList() {
		quoted = "[" + quoted + "]"
	}
	one := in.Type().New()
	if err := protojson.Unmarshal([]byte(fmt.Sprintf("{%q:%s}", field.JSONName(), quoted)), one.Interface()); err != nil {
		return invalid("Invalid value for field '%s': '%s'.", field.JSONName(), text)
	}
	in.Set(field, one.Get(field))
	return nil
}
