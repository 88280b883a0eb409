package ec2

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
)

// limits are the page sizes of an action.
type limits struct{ standard, least, most int }

// limits returns the page sizes of an action, within Config.PageSize.
func (c *call) limits(standard, least, most int) limits {
	if n := c.cfg.PageSize; n > 0 {
		standard = min(standard, n)
	}
	return limits{standard, least, most}
}

// page returns a page of the entries, in the order of their keys, and the token of the next one. Only the given keys count, if there are any.
func page[T any](all map[string]T, only []string, token string, size *int, l limits) (list []T, next string, err error) {
	keys := slices.Clone(only)
	if len(keys) == 0 {
		for key := range all {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	n := l.standard
	if size != nil {
		if *size < l.least || *size > l.most {
			return nil, "", refuse("InvalidParameterValue", "Value ( %d ) for parameter maxResults is invalid. Expecting a value between %d and %d.", *size, l.least, l.most)
		}
		n = min(*size, l.standard)
	}
	if token != "" {
		last, err := base64.URLEncoding.DecodeString(token)
		if err != nil || !strings.HasPrefix(string(last), tokenMark) {
			return nil, "", refuse("InvalidNextToken", "The token '%s' is invalid", token)
		}
		at, found := slices.BinarySearch(keys, strings.TrimPrefix(string(last), tokenMark))
		if found {
			at++
		}
		keys = keys[at:]
	}
	if len(keys) > n {
		keys = keys[:n]
		next = base64.URLEncoding.EncodeToString([]byte(tokenMark + keys[n-1]))
	}
	for _, key := range keys {
		if v, ok := all[key]; ok {
			list = append(list, v)
		}
	}
	return list, next, nil
}

// tokenMark begins each token. A client must not make tokens.
const tokenMark = "after "

// filter is a filter of EC2.
type filter struct {
	Name   string        `q:",required"`
	Values items[string] `q:"Value"`
}

// matches reports whether something fits all filters. attribute returns the values that it has for a filter's name; false: the filter is unknown.
func matches(filters []filter, attribute func(name string) ([]string, bool)) (bool, error) {
	fits := true
	for _, f := range filters {
		have, known := attribute(f.Name)
		if !known {
			return false, refuse("InvalidParameterValue", "The filter '%s' is invalid", f.Name)
		}
		fits = fits && slices.ContainsFunc(have, func(v string) bool { return anyLike(f.Values.List, v, same) })
	}
	return fits, nil
}

// tagAttributes answers the filters tag:KEY and tag-key.
func tagAttributes(tags []tag, name string) ([]string, bool) {
	key, isTag := strings.CutPrefix(name, "tag:")
	if !isTag && name != "tag-key" {
		return nil, false
	}
	var values []string
	for _, t := range tags {
		if !isTag {
			values = append(values, t.Key)
		} else if t.Key == key {
			values = append(values, t.Value)
		}
	}
	return values, true
}

var instanceID = regexp.MustCompile(`^i-[0-9a-f]{8}([0-9a-f]{9})?$`)

// checkIDs returns the error of EC2 for ids that it does not know. shown tells which instances it knows.
func checkIDs(ids []string, shown func(id string) bool) error {
	var missing []string
	for _, id := range ids {
		if !instanceID.MatchString(id) {
			return refuse("InvalidInstanceID.Malformed", "Invalid id: \"%s\"", id)
		}
		if !shown(id) {
			missing = append(missing, id)
		}
	}
	switch len(missing) {
	case 0:
		return nil
	case 1:
		return refuse("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", missing[0])
	}
	return refuse("InvalidInstanceID.NotFound", "The instance IDs '%s' do not exist", strings.Join(missing, ", "))
}
