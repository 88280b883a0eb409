package ec2

import (
	"net/url"
	"reflect"
	"sort"
	"strconv"
	"strings"
)

// node is one level of the dotted parameter names of a query request.
type node struct {
	value string
	kids  map[string]*node
}

// tree orders the parameters by their dots.
func tree(form url.Values) *node {
	root := &node{}
	for name, values := range form {
		n := root
		for part := range strings.SplitSeq(name, ".") {
			if n.kids == nil {
				n.kids = map[string]*node{}
			}
			if n.kids[part] == nil {
				n.kids[part] = &node{}
			}
			n = n.kids[part]
		}
		n.value = values[0]
	}
	return root
}

// decoder fills input structs from parameters. A field's name is the parameter's name, unless its tag q says another one; "q:\"Name,required\"" and
// "q:\",required\"" refuse requests without it. Lists are "Name.member.1", for EC2 "Name.1".
type decoder struct{ flat bool }

func (d decoder) decode(n *node, to reflect.Value, path string) *apiError {
	switch to.Kind() {
	case reflect.Pointer:
		to.Set(reflect.New(to.Type().Elem()))
		return d.decode(n, to.Elem(), path)
	case reflect.Struct:
		if list := to.FieldByName("List"); list.IsValid() && to.NumField() == 1 { // members and items
			return d.list(n, list, path)
		}
		return d.structure(n, to, path)
	case reflect.Slice:
		return d.list(n, to, path)
	case reflect.String:
		to.SetString(n.value)
	case reflect.Int, reflect.Int64:
		v, err := strconv.ParseInt(n.value, 10, 64)
		if err != nil {
			return d.malformed(path, n.value)
		}
		to.SetInt(v)
	case reflect.Bool:
		v, err := strconv.ParseBool(n.value)
		if err != nil {
			return d.malformed(path, n.value)
		}
		to.SetBool(v)
	default:
		panic("input field of a kind that no request has: " + to.Type().String())
	}
	if len(n.kids) > 0 {
		return d.unknown(path + "." + oneOf(n.kids))
	}
	return nil
}

func (d decoder) structure(n *node, to reflect.Value, path string) *apiError {
	known := map[string]bool{}
	for i := range to.NumField() {
		name, required := paramName(to.Type().Field(i))
		known[name] = true
		kid := n.kids[name]
		if kid == nil {
			if required {
				return d.missing(join(path, name))
			}
			continue
		}
		if err := d.decode(kid, to.Field(i), join(path, name)); err != nil {
			return err
		}
	}
	for name := range n.kids {
		if !known[name] {
			return d.unknown(join(path, name))
		}
	}
	return nil
}

func (d decoder) list(n *node, to reflect.Value, path string) *apiError {
	if !d.flat {
		for name := range n.kids {
			if name != "member" {
				return d.unknown(join(path, name))
			}
		}
		if n = n.kids["member"]; n == nil {
			to.Set(reflect.MakeSlice(to.Type(), 0, 0)) // "Name=" is an empty list
			return nil
		}
	}
	var numbers []int
	for name := range n.kids {
		k, err := strconv.Atoi(name)
		if err != nil || k < 1 {
			return d.unknown(join(path, name))
		}
		numbers = append(numbers, k)
	}
	sort.Ints(numbers)
	to.Set(reflect.MakeSlice(to.Type(), len(numbers), len(numbers)))
	for i, k := range numbers {
		name := strconv.Itoa(k)
		if err := d.decode(n.kids[name], to.Index(i), join(path, name)); err != nil {
			return err
		}
	}
	return nil
}

func paramName(f reflect.StructField) (name string, required bool) {
	name, option, _ := strings.Cut(f.Tag.Get("q"), ",")
	if name == "" {
		name = f.Name
	}
	return name, option == "required"
}

func (d decoder) missing(path string) *apiError {
	if d.flat {
		return refuse("MissingParameter", "The request must contain the parameter %s", path)
	}
	return invalid("1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", lowerFirst(path))
}

func (d decoder) unknown(path string) *apiError {
	if d.flat {
		return refuse("UnknownParameter", "The parameter %s is not recognized", path)
	}
	return invalid("the parameter %s is not known to this server", path)
}

func (d decoder) malformed(path, value string) *apiError {
	if d.flat {
		return refuse("InvalidParameterValue", "Value (%s) for parameter %s is invalid.", value, path)
	}
	return refuse("MalformedInput", "Value (%s) for parameter %s is invalid.", value, path)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

func oneOf(kids map[string]*node) string {
	for name := range kids {
		return name
	}
	return ""
}
