package workload

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
)

// partSpec is one parsed part of a spec. Times are ns.
type partSpec struct {
	rate    float64 // arrivals per ns where the factor is 1; 0: no Poisson arrivals
	profile profile
	size    int // jobs in a burst; 0: no bursts
	every   int64
	offset  int64
	length  lengths
	jobs    uint64 // the largest number of jobs
	from    int64
	until   int64
	bounded bool // the part ends at a time
	tag     string
}

// expected is the approximate number of jobs of the part.
func (s *partSpec) expected() float64 {
	n := float64(s.jobs)
	if s.bounded {
		span := float64(s.until - s.from)
		in := s.rate * s.profile.mean() * span
		if s.size > 0 && span > float64(s.offset) {
			in += float64(s.size) * math.Ceil((span-float64(s.offset))/float64(s.every))
		}
		n = min(n, in)
	}
	return n
}

// joint matches the end of one part and the beginning of the next. (A zone such as Etc/GMT+9 contains a plus, too.)
var joint = regexp.MustCompile(`\+\s*[A-Za-z]+\s*:`)

func parseSpec(text string) ([]partSpec, error) {
	var parts []partSpec
	total := 0.0
	for rest := strings.TrimSpace(text); ; {
		piece := rest
		next := joint.FindStringIndex(rest)
		if next != nil {
			piece, rest = rest[:next[0]], rest[next[0]+1:]
		}
		p := partParser{text: strings.TrimSpace(piece)}
		if err := p.parse(); err != nil {
			return nil, err
		}
		parts = append(parts, p.out)
		total += p.out.expected()
		switch {
		case len(parts) > maxParts:
			return nil, &SpecError{"+", fmt.Sprintf("there are more than %d parts", maxParts), "join similar parts"}
		case total > maxExpected:
			return nil, &SpecError{p.text, fmt.Sprintf("it would make about %.0f jobs", total), "lower the rate, jobs= or for="}
		case next == nil:
			return parts, nil
		}
	}
}

// partParser reads one part.
type partParser struct {
	text   string
	kind   string
	seen   map[string]string
	length []string // items of the duration: its kind and value, then key=value
	out    partSpec
}

const specExample = "write one such as poisson:rate=0.05/s,duration=exp:600s,jobs=100000"

// keysOf lists the keys of each kind, without those of durations.
var keysOf = map[string][]string{
	"poisson": {"rate", "burst", "profile", "hours", "weekdays", "tz", "duration", "jobs", "for", "from", "tag"},
	"burst":   {"size", "every", "offset", "duration", "jobs", "for", "from", "tag"},
}

func (p *partParser) parse() error {
	kind, rest, ok := strings.Cut(p.text, ":")
	p.kind = strings.TrimSpace(kind)
	if keysOf[p.kind] == nil || !ok {
		what := fmt.Sprintf("%q is not a kind of workload", p.kind)
		if p.text == "" {
			what = "the part is empty"
		}
		return &SpecError{p.text, what, "use poisson or burst: " + specExample + " (if it is a file, write ./NAME)"}
	}
	p.seen = map[string]string{}
	for _, item := range strings.Split(rest, ",") {
		if err := p.item(strings.TrimSpace(item)); err != nil {
			return err
		}
	}
	for _, read := range []func() error{p.extent, p.arrivals, p.week, p.durations, p.sensible} {
		if err := read(); err != nil {
			return err
		}
	}
	return nil
}

// item handles one key=value. Keys of a duration follow the duration.
func (p *partParser) item(item string) error {
	key, value, ok := strings.Cut(item, "=")
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	if !ok || key == "" || value == "" {
		return &SpecError{item, "it is not key=value", specExample}
	}
	switch key {
	case "p", "a", "b", "p50", "p95":
		if p.length == nil {
			return &SpecError{item, "it belongs to a duration, but no duration comes before it", "write duration=lognormal:p50=4m,p95=25m"}
		}
		p.length = append(p.length, item)
		return nil
	}
	known := false
	for _, k := range keysOf[p.kind] {
		known = known || k == key
	}
	switch {
	case !known:
		return &SpecError{item, fmt.Sprintf("%s has no key %q", p.kind, key), "use " + strings.Join(keysOf[p.kind], ", ")}
	case p.seen[key] != "":
		return &SpecError{item, fmt.Sprintf("the key %q appears twice", key), "remove one of them"}
	}
	p.seen[key] = value
	if key == "duration" {
		p.length = []string{value}
	}
	return nil
}

func (p *partParser) bad(key, reason, remedy string) error {
	return &SpecError{key + "=" + p.seen[key], reason, remedy}
}

// span reads a length of time; least is the smallest valid value.
func (p *partParser) span(key string, least int64) (int64, error) {
	text := p.seen[key]
	if text == "" {
		return 0, nil
	}
	ns, ok := parseSpan(text, 0)
	switch {
	case !ok:
		return 0, p.bad(key, "it is not a duration", "write a number with a unit, such as 90s, 12h, 30d or 4w")
	case ns < least || ns > int64(longest):
		return 0, p.bad(key, "it is out of range", fmt.Sprintf("write a duration from %s to a hundred years", time.Duration(least)))
	}
	return ns, nil
}

// extent reads where the part begins and ends.
func (p *partParser) extent() (err error) {
	o := &p.out
	o.tag, o.jobs = p.seen["tag"], math.MaxUint64
	if text := p.seen["jobs"]; text != "" {
		n, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
		if err != nil || !(n >= 1 && n <= maxExpected) || n != math.Trunc(n) {
			return p.bad("jobs", "it is not a number of jobs", "write a whole number from 1 to 10000000000")
		}
		o.jobs = uint64(n)
	}
	if o.from, err = p.span("from", 0); err != nil {
		return err
	}
	length, err := p.span("for", 1)
	if err != nil {
		return err
	}
	o.bounded = length > 0
	if !o.bounded {
		if p.seen["jobs"] == "" {
			return &SpecError{p.text, "it never ends", "give a number of jobs (jobs=100000) or a length of time (for=30d)"}
		}
		length = int64(longest)
	}
	if o.until = min(o.from+length, int64(longest)); o.until <= o.from {
		return p.bad("from", "it is out of range", "write a duration below a hundred years")
	}
	return nil
}

// arrivals reads the rate and the bursts.
func (p *partParser) arrivals() (err error) {
	o := &p.out
	if p.kind == "burst" {
		if o.every, err = p.span("every", int64(time.Millisecond)); err != nil {
			return err
		}
		if o.offset, err = p.span("offset", 0); err != nil {
			return err
		}
		if p.seen["size"] == "" || o.every == 0 {
			return &SpecError{p.text, "a burst needs size and every", "write burst:size=40,every=1h,duration=exp:5m,for=30d"}
		}
		return p.burstSize("size", p.seen["size"])
	}
	if p.seen["rate"] == "" {
		return &SpecError{p.text, "it has no rate", "write rate=0.05/s, or in /m, /h, /d"}
	}
	n, per, ok := parseRate(p.seen["rate"])
	if o.rate = n / float64(per); !ok || !(o.rate > 0 && o.rate <= 1) {
		return p.bad("rate", "it is not a rate above 0", "write jobs a unit of time, such as 0.05/s, 3/m, 300/h or 1/20s")
	}
	if text := p.seen["burst"]; text != "" {
		size, _, _ := strings.Cut(text, "/")
		if _, per, ok = parseRate(text); !ok || per < int64(time.Millisecond) || per > int64(longest) {
			return p.bad("burst", "it is not a number of jobs and an interval", "write burst=40/1h for 40 jobs at once each hour")
		}
		o.every = per
		return p.burstSize("burst", strings.TrimSpace(size))
	}
	return nil
}

func (p *partParser) burstSize(key, text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 10_000_000 {
		return p.bad(key, "the size of a burst is not a whole number from 1 to 10 million", "write burst=40/1h, or size=40")
	}
	p.out.size = n
	return nil
}

// parseRate reads N/UNIT or N/DURATION.
func parseRate(text string) (n float64, per int64, ok bool) {
	number, unit, ok := strings.Cut(text, "/")
	if !ok {
		return 0, 1, false
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !(n >= 0) || math.IsInf(n, 0) {
		return 0, 1, false
	}
	unit = strings.TrimSpace(unit)
	if u := spanUnit(unit); u > 0 {
		return n, int64(u), true
	}
	per, ok = parseSpan(unit, 0)
	if !ok || per <= 0 {
		return 0, 1, false
	}
	return n, per, true
}

// week reads the profile.
func (p *partParser) week() error {
	w := &p.out.profile
	name := p.seen["profile"]
	if name == "" {
		name = "flat"
	}
	lists, ok := profiles[name]
	if !ok {
		return p.bad("profile", "this profile does not exist", "use office, global or flat, or write hours= and weekdays=")
	}
	for _, list := range []struct {
		key, preset string
		to          []float64
		remedy      string
	}{
		{"hours", lists[0], w.hours[:], "write 24 factors, such as hours=0.2*8;1*10;0.3*6"},
		{"weekdays", lists[1], w.weekdays[:], "write 7 factors, Monday first, such as weekdays=1*5;0.3;0.2"},
	} {
		text := p.seen[list.key]
		if text == "" {
			text = list.preset
		}
		if err := parseFactors(text, list.to); err != nil {
			return p.bad(list.key, err.Error(), list.remedy)
		}
	}
	w.loc = time.UTC
	if zone := p.seen["tz"]; zone != "" {
		loc, err := time.LoadLocation(zone)
		if err != nil || zone == "Local" {
			return p.bad("tz", "this time zone does not exist", "write a name of the tz database, such as Asia/Seoul or Europe/Berlin")
		}
		w.loc = loc
	}
	return nil
}

// durations reads the distribution of run times.
func (p *partParser) durations() error {
	if p.length == nil {
		return &SpecError{p.text, "it does not say how long jobs run",
			"write duration=600s, exp:600s, lognormal:p50=4m,p95=25m or hyperexp:p=0.9,a=60s,b=1800s"}
	}
	whole := "duration=" + strings.Join(p.length, ",")
	kind, value, ok := strings.Cut(p.length[0], ":")
	if !ok {
		kind, value = "const", p.length[0]
	}
	d := durationParser{whole: whole, kind: strings.TrimSpace(kind)}
	return d.parse(strings.TrimSpace(value), p.length[1:], &p.out.length)
}

type durationParser struct{ whole, kind string }

func (d *durationParser) parse(value string, more []string, to *lengths) error {
	keys := map[string][]string{"lognormal": {"p50", "p95"}, "hyperexp": {"p", "a", "b"}, "const": nil, "exp": nil, "empirical": nil}
	needs, known := keys[d.kind]
	if !known {
		return &SpecError{d.whole, fmt.Sprintf("%q is not a kind of duration", d.kind), "use const, exp, lognormal, hyperexp or empirical"}
	}
	values := map[string]string{}
	if needs != nil {
		more = append([]string{value}, more...)
	}
	for _, item := range more {
		key, v, _ := strings.Cut(item, "=")
		key = strings.TrimSpace(key)
		ok := false
		for _, n := range needs {
			ok = ok || n == key
		}
		if !ok || values[key] != "" {
			return &SpecError{d.whole, fmt.Sprintf("%q does not belong to %s, or appears twice", item, d.kind), durationRemedy(d.kind)}
		}
		values[key] = strings.TrimSpace(v)
	}
	return d.build(value, values, to)
}

func durationRemedy(kind string) string {
	switch kind {
	case "lognormal":
		return "write lognormal:p50=4m,p95=25m: the median and the 95th percentile"
	case "hyperexp":
		return "write hyperexp:p=0.9,a=60s,b=1800s: exponential with mean a at probability p, else with mean b"
	case "empirical":
		return "write empirical:30s;2m;9m"
	}
	return "write " + kind + ":600s"
}

func (d *durationParser) build(value string, values map[string]string, to *lengths) (err error) {
	var first, second cloudmodel.Distribution
	to.p = 1
	at := func(text string) time.Duration {
		ns, ok := parseSpan(text, 0)
		if (!ok || ns < 0 || ns > int64(longest)) && err == nil {
			err = &SpecError{d.whole, fmt.Sprintf("%q is not a duration", text), durationRemedy(d.kind)}
		}
		return time.Duration(ns)
	}
	switch d.kind {
	case "const":
		first, to.fixed = cloudmodel.Constant(at(value)), true
	case "exp":
		first = cloudmodel.Exponential(at(value))
	case "lognormal":
		first = cloudmodel.LogNormal(at(values["p50"]), at(values["p95"]))
	case "empirical":
		var samples []time.Duration
		for _, s := range strings.Split(value, ";") {
			samples = append(samples, at(strings.TrimSpace(s)))
		}
		first = cloudmodel.Empirical(samples...)
	case "hyperexp":
		p, bad := strconv.ParseFloat(values["p"], 64)
		if bad != nil || !(p > 0 && p < 1) {
			return &SpecError{d.whole, fmt.Sprintf("p is %q, not a probability between 0 and 1", values["p"]), durationRemedy(d.kind)}
		}
		to.p = p
		first, second = cloudmodel.Exponential(at(values["a"])), cloudmodel.Exponential(at(values["b"]))
	}
	if err != nil {
		return err
	}
	if to.Sampler, err = first.Sampler(); err == nil {
		to.other, err = second.Sampler()
	}
	if err != nil {
		return &SpecError{d.whole, err.Error(), durationRemedy(d.kind)}
	}
	return nil
}

// sensible rejects a part whose jobs take too long to arrive.
func (p *partParser) sensible() error {
	o := &p.out
	rate := o.rate * o.profile.mean()
	if o.size > 0 {
		rate += float64(o.size) / float64(o.every)
	}
	if !o.bounded && float64(o.jobs)/rate > float64(longest)*0.9 {
		return &SpecError{p.text, fmt.Sprintf("at this rate %d jobs take more than a hundred years", o.jobs), "raise the rate, or lower jobs="}
	}
	return nil
}
