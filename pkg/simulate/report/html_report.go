package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/simulate"
)

// reportPage holds what report.html shows.
type reportPage struct {
	page
	Period, Workload       string
	Tiles                  []tile
	HasTimeline, HasHours  bool
	Waited, Priced, Warmup bool
	Step, Zone             string
	Causes                 []causeRow
	Tags                   []tagRow
	SplitTitle, Bound      string
	Split                  []splitRow
	TotalHours, TotalCost  string
	Policies, Legend       []policyRow
	NoWait                 string
}

type tile struct{ Name, Value, Plus, More string }

type causeRow struct {
	Name, Time, Share string
	Width             float64
}

type tagRow struct{ Name, Jobs, Mean, P50, P95, Max string }

type splitRow struct {
	Name, Class, Share, Hours, Cost string
	Width                           float64
}

type policyRow struct {
	Name, Timezone, Settings string
	Periods                  []string
	Color                    int
}

// WriteHTML writes the report as one HTML file that needs no network. Its styles, scripts and data are inside, and a content security
// policy forbids everything else. Texts of users are escaped. Secrets are removed from the configuration.
func (r *Report) WriteHTML(w io.Writer) error {
	base, err := newPage(r.title())
	if err != nil {
		return fmt.Errorf("report as HTML: %w", err)
	}
	res := r.Result
	p := reportPage{page: base, Tiles: r.tiles(), Zone: zone(res).String(), Waited: res.Waits.Max > 0, Priced: res.Cost.Total > 0,
		Warmup: r.Workload.Warmup > 0, HasHours: len(res.ByHour) > 0, HasTimeline: res.Timeline != nil && len(res.Timeline.Queue) > 0}
	p.Notes, p.Data, p.Files = r.notes(), r.charts(), files(r.Config, r.Model)
	p.Period = fmt.Sprintf("%s to %s (%s), %s, seed %d", moment(res.Start), moment(res.Start.Add(res.End)), zone(res),
		seconds(res.End.Seconds()), res.Seed)
	if r.Workload.Name != "" {
		p.Workload = r.Workload.describe()
	}
	if p.HasTimeline {
		p.Step = seconds(res.Timeline.Step.Seconds())
	}
	p.Causes, p.Tags = causeRows(res), tagRows(res)
	p.split(res)
	if p.Waited && res.Waits.Fraction < 1 {
		p.NoWait = percent(1 - res.Waits.Fraction)
	}
	p.Legend = r.legend()
	for i, q := range r.Policies {
		p.Policies = append(p.Policies, policyRow{Name: r.policyName(i), Timezone: q.Timezone, Settings: settingsText(q.Settings), Periods: q.Periods,
			Color: 1 + i%7})
	}
	return render(w, "report.html", p)
}

// legend lists the policies that were in force at some time.
func (r *Report) legend() []policyRow {
	most := -1
	held := map[int]bool{}
	for _, e := range r.Result.Policies {
		held[e.Policy] = true
		most = max(most, e.Policy)
	}
	var rows []policyRow
	for i := -1; i <= most; i++ {
		if held[i] {
			row := policyRow{Name: r.policyName(i)}
			if i >= 0 {
				row.Color = 1 + i%7
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// files shows sources without their secrets.
func files(sources ...Source) []file {
	var all []file
	for i, s := range sources {
		if s.Text == "" {
			continue
		}
		name := s.Path
		if name == "" {
			name = "configuration"
		}
		all = append(all, file{Name: name, Text: redact(s.Text), Open: i == 0})
	}
	return all
}

func (r *Report) tiles() []tile {
	res, w := r.Result, &r.Result.Waits
	jobs := count(res.Completed) + " completed"
	if res.Censored > 0 {
		jobs += ", " + count(res.Censored) + " censored"
	}
	if res.Kills > 0 {
		jobs += ", " + count(res.Kills) + " runs killed"
	}
	if res.Denials > 0 {
		jobs += ", " + count(res.Denials) + " denials"
	}
	plus := func(path string, format func(float64) string) string {
		return strings.TrimSpace(r.plusMinus(path, format))
	}
	in := res.Instances
	instances := fmt.Sprintf("%s created, %s unproductive", count(in.Created), count(in.Unproductive))
	if in.Reclaimed+in.Died > 0 {
		instances += fmt.Sprintf(", %s lost", count(in.Reclaimed+in.Died))
	}
	tiles := []tile{
		{"Jobs", count(res.Arrived), "", jobs},
		{"Mean wait", seconds(w.Mean), plus("wait_seconds.mean", seconds), percent(w.Fraction) + " of the jobs waited"},
		{"95 % waited at most", seconds(w.Quantile(0.95)), plus("wait_seconds.p95", seconds), "half at most " + seconds(w.Quantile(0.5))},
		{"99 % waited at most", seconds(w.Quantile(0.99)), plus("wait_seconds.p99", seconds), "longest " + seconds(w.Max)},
		{"Peak instances", count(in.Peak), "", instances},
		{"Instance-hours", amount(res.Hours.Total), plus("instance_hours.total", amount), percent(res.Cost.IdleShare) + " without a job"},
		{"Utilisation", percent(res.Utilization), plus("utilization", percent), fmt.Sprintf("of %s per instance", words.Count(res.Capacity, "slot"))},
	}
	if res.Cost.Total > 0 {
		tiles = append(tiles, tile{"Cost", money(res.Cost.Total), plus("cost.total", money), money(res.Cost.PerJob) + " a job, in the price's currency"})
	} else {
		tiles = append(tiles, tile{"Cost", "–", "", "the model has no price"})
	}
	return tiles
}

func causeRows(res *simulate.Result) []causeRow {
	total := 0.0
	for _, c := range res.ByCause {
		total += c.Seconds
	}
	var rows []causeRow
	for _, c := range res.ByCause {
		rows = append(rows, causeRow{Name: causeText(c.Cause), Time: seconds(c.Seconds), Share: percent(c.Seconds / total),
			Width: round(100*c.Seconds/total, 2)})
	}
	return rows
}

// tagRows are the tags; none if no job has a tag.
func tagRows(res *simulate.Result) []tagRow {
	if len(res.ByTag) == 1 && res.ByTag[0].Name == "" {
		return nil
	}
	var rows []tagRow
	for _, t := range res.ByTag {
		name := t.Name
		if name == "" {
			name = "(no tag)"
		}
		rows = append(rows, tagRow{Name: name, Jobs: count(t.Jobs), Mean: seconds(t.Mean), P50: seconds(t.P50), P95: seconds(t.P95), Max: seconds(t.Max)})
	}
	return rows
}

func (p *reportPage) split(res *simulate.Result) {
	h := res.Hours
	p.SplitTitle, p.TotalHours, p.TotalCost = "Where the hours went", hours(h.Total), money(res.Cost.Total)
	if p.Priced {
		p.SplitTitle = "Where the money went"
	}
	for _, s := range []struct {
		name, class string
		hours       float64
	}{{"busy: at least one job ran", "busy", h.Busy}, {"idle: ready, without a job", "idle", h.Idle}, {"booting: created, not ready", "boot", h.Boot},
		{"draining: retired, not gone", "drain", h.Drain}} {
		part := 0.0
		if h.Total > 0 {
			part = s.hours / h.Total
		}
		p.Split = append(p.Split, splitRow{Name: s.name, Class: s.class, Share: percent(part), Hours: hours(s.hours),
			Cost: money(part * res.Cost.Total), Width: round(100*part, 3)})
	}
	p.Bound = boundText(res)
}

// boundText compares the run with the lower bound.
func boundText(res *simulate.Result) string {
	b := bound(res.Bound)
	if b.AtOnce <= 0 {
		return ""
	}
	if b.same() {
		return fmt.Sprintf("A fleet that knew every job in advance would need %s: this run took %s times that.", hours(b.AtOnce),
			rounded(res.Hours.Total/b.AtOnce, 2))
	}
	return fmt.Sprintf("A fleet that knew every job in advance would need %s for the same starts, and %s to start every job "+
		"at once: this run took %s times that.", hours(b.AtStarts), hours(b.AtOnce), rounded(res.Hours.Total/b.AtOnce, 2))
}

// bound is the lower bound of the instance-hours.
type bound simulate.Bound

// same reports whether both values look equal in the report. With one slot per instance they differ only by jobs that were still running at
// the end of the warm-up.
func (b bound) same() bool { return hours(b.AtOnce) == hours(b.AtStarts) }

func durationOf(sec float64) time.Duration { return time.Duration(sec * float64(time.Second)) }
