package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// field describes one of the five fields of a period: its name and its valid values.
type field struct {
	name     string
	min, max int
	names    []string // names of the values, starting with min
}

var fields = [5]field{
	{name: "minute", min: 0, max: 59},
	{name: "hour", min: 0, max: 23},
	{name: "day of month", min: 1, max: 31},
	{name: "month", min: 1, max: 12, names: []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
	{name: "day of week", min: 0, max: 6, names: []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
}

const (
	minuteField = iota
	hourField
	dayField
	monthField
	weekdayField
)

// fault is why a text cannot be parsed, without its position.
type fault struct{ reason, remedy string }

func faultf(remedy, format string, args ...any) *fault {
	return &fault{reason: fmt.Sprintf(format, args...), remedy: remedy}
}

// normalise rewrites a field so that every cron implementation reads it alike: lower case, Sunday as 0, and a range that wraps as two
// ranges.
func (f *field) normalise(text string) (string, []Notice, *fault) {
	var out []string
	var notices []Notice
	for _, part := range strings.Split(strings.ToLower(text), ",") {
		item, ns, bad := f.item(part)
		if bad != nil {
			return "", nil, bad
		}
		out, notices = append(out, item), append(notices, ns...)
	}
	return strings.Join(out, ","), notices, nil
}

// item rewrites one member of a list: "*", a value or a range, each with or without a step.
func (f *field) item(text string) (string, []Notice, *fault) {
	if text == "" {
		return "", nil, faultf("remove the comma", "the %s field has an empty list member", f.name)
	}
	base, stepText, stepped := strings.Cut(text, "/")
	step := 1
	if stepped {
		n, err := strconv.ParseUint(stepText, 10, 31)
		if err != nil || n == 0 {
			return "", nil, faultf("write a whole number of at least 1 after the slash, such as */15",
				"%q in the %s field is not a step", "/"+stepText, f.name)
		}
		step = int(n)
	}
	r, bad := f.read(base, stepped)
	if bad != nil {
		return "", nil, bad
	}
	var notices []Notice
	if step >= r.count && stepped && r.count > 1 {
		notices = append(notices, Notice{NoticeStep, fmt.Sprintf("the step of %q is beyond the range of the %s field: only %s is left",
			text, f.name, f.show(r.lo, r.named))})
	}
	suffix := ""
	if stepped {
		suffix = "/" + strconv.Itoa(step)
	}
	if !r.wraps {
		return r.text + suffix, notices, nil
	}
	unfolded := f.unfold(r, step)
	how := fmt.Sprintf("runs past the end of the %s field", f.name)
	if r.seven {
		how = "ends with 7, which means Sunday"
	}
	return unfolded, append(notices, Notice{NoticeWrap, fmt.Sprintf("the range %q %s: it is read as %s", text, how, unfolded)}), nil
}

// span is what an item covers without its step: count values, starting with lo.
type span struct {
	lo, count int
	text      string // normalised; unused when it wraps
	named     bool   // written with a name, so show names
	wraps     bool   // runs past max
	seven     bool   // ends in a Sunday written as 7; wraps is set too
}

func (f *field) read(base string, stepped bool) (span, *fault) {
	if base == "*" {
		return span{lo: f.min, count: f.max - f.min + 1, text: "*"}, nil
	}
	loText, hiText, ranged := strings.Cut(base, "-")
	lo, loNamed, bad := f.value(loText)
	if bad != nil {
		return span{}, bad
	}
	if !ranged {
		lo = f.wrap(lo)
		r := span{lo: lo, count: 1, text: f.show(lo, loNamed), named: loNamed}
		if stepped { // "n/step" means from n to the end of the field
			r.count = f.max - lo + 1
		}
		return r, nil
	}
	hi, hiNamed, bad := f.value(hiText)
	if bad != nil {
		return span{}, bad
	}
	if lo > f.max { // a range that starts with Sunday written as 7
		lo = f.min
		hi = f.wrap(hi)
	}
	size := f.max - f.min + 1
	r := span{lo: lo, named: loNamed || hiNamed, wraps: hi > f.max || hi < lo, seven: hi > f.max}
	r.count = hi - lo + 1
	if hi < lo {
		r.count += size
	}
	r.count = min(r.count, size) // 0-7 contains Sunday twice
	r.text = f.show(lo, loNamed) + "-" + f.show(f.wrap(hi), hiNamed)
	return r, nil
}

// wrap changes a Sunday written as 7 to 0.
func (f *field) wrap(v int) int {
	if v > f.max {
		return f.min
	}
	return v
}

// unfold writes a range that wraps as one or two ranges that do not wrap; with a step, as a list of values.
func (f *field) unfold(r span, step int) string {
	size := f.max - f.min + 1
	if step > 1 {
		var values []int
		for i := 0; i < r.count; i += step {
			values = append(values, f.min+(r.lo-f.min+i)%size)
		}
		slices.Sort(values)
		out := make([]string, len(values))
		for i, v := range values {
			out[i] = f.show(v, r.named)
		}
		return strings.Join(out, ",")
	}
	if r.count == size {
		return f.between(f.min, f.max, r.named)
	}
	end := f.min + (r.lo-f.min+r.count-1)%size
	return f.between(r.lo, f.max, r.named) + "," + f.between(f.min, end, r.named)
}

func (f *field) between(lo, hi int, named bool) string {
	if lo == hi {
		return f.show(lo, named)
	}
	return f.show(lo, named) + "-" + f.show(hi, named)
}

// show writes a value, by its name if named is set.
func (f *field) show(v int, named bool) string {
	if named {
		return f.names[v-f.min]
	}
	return strconv.Itoa(v)
}

// value parses a number or a name. A Sunday written as 7 stays 7, because it may be the end of a range.
func (f *field) value(text string) (v int, named bool, bad *fault) {
	if i := slices.Index(f.names, text); i >= 0 {
		return f.min + i, true, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, false, f.unreadable(text)
	}
	v = int(n)
	top := f.max
	if f == &fields[weekdayField] {
		top = 7
	}
	if v < f.min || v > top {
		return 0, false, faultf(fmt.Sprintf("write a value from %d to %d", f.min, top), "%s %s is out of range", f.name, text)
	}
	return v, false, nil
}

// unreadable explains a value that is neither a number nor a name. Other cron implementations have words that make no sense for a period.
func (f *field) unreadable(text string) *fault {
	rest := strings.TrimLeft(text, "0123456789")
	for _, name := range f.names {
		if r, ok := strings.CutPrefix(rest, name); ok && r != "" {
			rest = r
			break
		}
	}
	switch {
	case text == "*":
		return faultf("write * alone, or both ends as values", "the %s field has a range with *", f.name)
	case strings.Contains(text, "#"):
		return faultf("list the days of the month, such as 1-7 for its first week", "the n-th weekday of a month (#) is not supported")
	case rest != "" && strings.Trim(rest, "lw") == "":
		return faultf("list the days, such as 28-31", "L (last) and W (nearest working day) are not supported")
	case text == "":
		return faultf("write both ends, such as 1-5", "the %s field has a range without an end, or a step without a start", f.name)
	}
	remedy := fmt.Sprintf("write a number from %d to %d, a range such as %d-%d, or *", f.min, f.max, f.min, f.min+3)
	if f.names != nil {
		remedy += fmt.Sprintf(", or a name such as %s", f.names[1])
	}
	return faultf(remedy, "%q is not a valid %s", text, f.name)
}
