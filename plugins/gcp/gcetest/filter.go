package gcetest

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// predicate tells whether a resource fits a filter.
type predicate func(m protoreflect.Message) bool

// parseFilter reads a filter of a list: comparisons (FIELD = VALUE, !=, <, <=, >, >=, FIELD:VALUE, FIELD eq REGEXP, FIELD ne REGEXP) that are joined by AND,
// OR, NOT and parentheses. Two that follow each other are joined by AND.
func parseFilter(text string) (predicate, *apiError) {
	if strings.TrimSpace(text) == "" {
		return func(protoreflect.Message) bool { return true }, nil
	}
	p := &filterParser{words: filterTokens(text)}
	fits, ok := p.or()
	if !ok || len(p.words) > 0 {
		return nil, invalid("Invalid value for field 'filter': '%s'. Invalid list filter expression.", text)
	}
	return fits, nil
}

type filterParser struct{ words []string }

var filterToken = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|'[^']*'|!=|<=|>=|[()=<>:]|[^\s()=<>:!"']+`)

func filterTokens(text string) []string { return filterToken.FindAllString(text, -1) }

func (p *filterParser) peek() string {
	if len(p.words) == 0 {
		return ""
	}
	return p.words[0]
}

func (p *filterParser) take() string {
	t := p.peek()
	if t != "" {
		p.words = p.words[1:]
	}
	return t
}

func (p *filterParser) or() (predicate, bool) {
	left, ok := p.and()
	for ok && p.peek() == "OR" {
		p.take()
		var right predicate
		if right, ok = p.and(); !ok {
			break
		}
		a := left
		left = func(m protoreflect.Message) bool { return a(m) || right(m) }
	}
	return left, ok
}

func (p *filterParser) and() (predicate, bool) {
	left, ok := p.one()
	for ok && p.peek() != "" && p.peek() != "OR" && p.peek() != ")" {
		if p.peek() == "AND" {
			p.take()
		}
		var right predicate
		if right, ok = p.one(); !ok {
			break
		}
		a := left
		left = func(m protoreflect.Message) bool { return a(m) && right(m) }
	}
	return left, ok
}

func (p *filterParser) one() (predicate, bool) {
	switch p.peek() {
	case "(":
		p.take()
		inner, ok := p.or()
		return inner, p.take() == ")" && ok
	case "NOT":
		p.take()
		inner, ok := p.one()
		return func(m protoreflect.Message) bool { return !inner(m) }, ok
	}
	if len(p.words) < 3 {
		return nil, false
	}
	field, operator, want := p.take(), p.take(), unquote(p.take())
	if !unicode.IsLetter(rune(field[0])) {
		return nil, false
	}
	compare, ok := comparison(operator, want)
	if !ok {
		return nil, false
	}
	path := strings.Split(field, ".")
	return func(m protoreflect.Message) bool { return compare(values(m, path)) }, true
}

func unquote(text string) string {
	if len(text) >= 2 && (text[0] == '"' || text[0] == '\'') {
		return strings.ReplaceAll(text[1:len(text)-1], `\"`, `"`)
	}
	return text
}

// comparison returns how an operator compares the values of a field. A field without a value counts as empty.
func comparison(operator, want string) (func(have []string) bool, bool) {
	some := func(fits func(v string) bool) func([]string) bool {
		return func(have []string) bool {
			for _, v := range have {
				if fits(v) {
					return true
				}
			}
			return len(have) == 0 && fits("")
		}
	}
	not := func(f func([]string) bool) func([]string) bool { return func(have []string) bool { return !f(have) } }
	switch operator {
	case "=":
		return some(func(v string) bool { return same(v, want) }), true
	case "!=":
		return not(some(func(v string) bool { return same(v, want) })), true
	case ":": // Google finds nothing in this way in fields that are URLs
		return some(func(v string) bool {
			return want == "*" && v != "" || !strings.HasPrefix(v, linkBase) && strings.Contains(strings.ToLower(v), strings.ToLower(want))
		}), true
	case "eq", "ne":
		re, err := regexp.Compile("^(?:" + want + ")$")
		if err != nil {
			return nil, false
		}
		if operator == "ne" {
			return not(some(re.MatchString)), true
		}
		return some(re.MatchString), true
	case "<", "<=", ">", ">=":
		return some(func(v string) bool { return ordered(operator, v, want) }), true
	}
	return nil, false
}

// same compares text without regard to case, and with * for any text.
func same(v, want string) bool {
	if !strings.Contains(want, "*") {
		return strings.EqualFold(v, want)
	}
	re, err := regexp.Compile("(?i)^" + strings.ReplaceAll(regexp.QuoteMeta(want), `\*`, ".*") + "$")
	return err == nil && re.MatchString(v)
}

func ordered(operator, v, want string) bool {
	order := strings.Compare(v, want)
	a, err1 := strconv.ParseFloat(v, 64)
	b, err2 := strconv.ParseFloat(want, 64)
	if err1 == nil && err2 == nil {
		order = 0
		if a < b {
			order = -1
		} else if a > b {
			order = 1
		}
	}
	return order < 0 && operator[0] == '<' || order > 0 && operator[0] == '>' || order == 0 && len(operator) == 2
}

// values returns the values of a field, also within lists and maps.
func values(m protoreflect.Message, path []string) []string {
	field := m.Descriptor().Fields().ByJSONName(path[0])
	if field == nil || !m.Has(field) {
		return nil
	}
	var all []string
	each := func(v protoreflect.Value, rest []string) {
		switch {
		case field.Kind() == protoreflect.MessageKind && !field.IsMap():
			if len(rest) > 0 {
				all = append(all, values(v.Message(), rest)...)
			}
		case field.Kind() == protoreflect.EnumKind:
			all = append(all, string(field.Enum().Values().ByNumber(v.Enum()).Name()))
		default:
			all = append(all, v.String())
		}
	}
	switch {
	case field.IsMap():
		if len(path) > 1 {
			if v := m.Get(field).Map().Get(protoreflect.ValueOfString(path[1]).MapKey()); v.IsValid() {
				all = append(all, v.String())
			}
		}
	case field.IsList():
		for list, i := m.Get(field).List(), 0; i < list.Len(); i++ {
			each(list.Get(i), path[1:])
		}
	default:
		each(m.Get(field), path[1:])
	}
	return all
}
