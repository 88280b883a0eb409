package ec2

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// newer are members of inputs and answers that Debian's botocore does not know yet.
func newer() []string {
	return []string{"DescribeImages.NextToken", "DescribeImages.MaxResults", "DescribeImages.nextToken", "DescribeLaunchTemplateVersions.ResolveAlias"}
}

// TestShapes compares the types of all inputs and outputs with AWS's own models: each field is known there, and of a type that fits. What the model
// requires of an input, this server requires too.
func TestShapes(t *testing.T) {
	all := models(t)
	for key, a := range actions() {
		m := all[a.service]
		op, known := m.Operations[a.name]
		if !known {
			t.Errorf("%s: there is no such action", key)
			continue
		}
		s := &shaper{t: t, model: m}
		if op.Input != nil {
			s.input(a.in, op.Input.Shape, a.name)
		} else if a.in.NumField() > 0 {
			t.Errorf("%s takes nothing", key)
		}
		switch {
		case op.Output != nil:
			s.output(a.out, op.Output.Shape, a.name)
		case a.out != reflect.TypeFor[none]() && a.out != reflect.TypeFor[done]():
			t.Errorf("%s answers nothing", key)
		}
	}
}

type shaper struct {
	t     *testing.T
	model *apiModel
}

// input compares a type with a shape of a request.
func (s *shaper) input(in reflect.Type, name, path string) {
	sh := s.model.Shapes[name]
	in, list := plain(in)
	if list {
		if sh.Type != "list" {
			s.t.Errorf("%s is a list here, and a %s there", path, sh.Type)
			return
		}
		s.input(in, sh.Member.Shape, path+"[]")
		return
	}
	if in.Kind() != reflect.Struct {
		s.scalar(in, sh, path)
		return
	}
	if s.model.Metadata.Protocol == "json" {
		return // encoding/json refuses what the struct does not know, and the struct's names are compared by the clients
	}
	required := map[string]bool{}
	for i := range in.NumField() {
		f := in.Field(i)
		param, must := paramName(f)
		member := ""
		for m, ref := range sh.Members {
			if ref.param(s.model.Metadata.Protocol, m) == param {
				member = m
			}
		}
		if member == "" {
			if !slices.Contains(newer(), path+"."+param) {
				s.t.Errorf("the input %s has no member %s", path, param)
			}
			continue
		}
		required[member] = must
		s.input(f.Type, sh.Members[member].Shape, path+"."+param)
	}
	for _, m := range sh.Required {
		if !required[m] {
			s.t.Errorf("the input %s must require %s", path, m)
		}
	}
}

// plain takes pointers, members and items away. list is true for lists.
func plain(of reflect.Type) (elem reflect.Type, list bool) {
	for of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	if of.Kind() == reflect.Struct && of.NumField() == 1 && of.Field(0).Name == "List" {
		of = of.Field(0).Type
	}
	if of.Kind() == reflect.Slice {
		return of.Elem(), true
	}
	return of, false
}

func (s *shaper) scalar(in reflect.Type, sh *shape, path string) {
	kinds := map[string][]reflect.Kind{
		"string": {reflect.String}, "integer": {reflect.Int}, "long": {reflect.Int}, "boolean": {reflect.Bool}, "timestamp": {reflect.String},
		"double": {reflect.String}, "blob": {reflect.String},
	}
	if !slices.Contains(kinds[sh.Type], in.Kind()) {
		s.t.Errorf("%s is a %s here, and a %s there", path, in, sh.Type)
	}
}

// output compares a type with a shape of an answer.
func (s *shaper) output(out reflect.Type, name, path string) {
	sh := s.model.Shapes[name]
	of, list := plain(out)
	if list {
		if sh.Type != "list" {
			s.t.Errorf("%s is a list here, and a %s there", path, sh.Type)
			return
		}
		if of != reflect.TypeFor[none]() {
			s.output(of, sh.Member.Shape, path+"[]")
		}
		return
	}
	if of.Kind() != reflect.Struct {
		s.scalar(of, sh, path)
		return
	}
	for i := range of.NumField() {
		f := of.Field(i)
		if f.Anonymous {
			s.output(f.Type, name, path)
			continue
		}
		tag, _, _ := strings.Cut(f.Tag.Get("xml"), ",")
		if s.model.Metadata.Protocol == "json" {
			tag = f.Tag.Get("json")
		}
		member := ""
		for m, ref := range sh.Members {
			if ref.wire(m) == tag {
				member = m
			}
		}
		if member == "" {
			if !slices.Contains(newer(), path+"."+tag) {
				s.t.Errorf("the answer %s has no member %q", path, tag)
			}
			continue
		}
		s.output(f.Type, sh.Members[member].Shape, path+"."+tag)
	}
}
