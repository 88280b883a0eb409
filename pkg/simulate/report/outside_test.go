package report

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// Text from outside cannot use a terminal: the only escapes are the colours of the report. In HTML it is no markup.
func TestNamesFromOutside(t *testing.T) {
	const evil = "evil\x1b[7m\x1b]0;t\x07\r\nFORGED: x\u009b2J\u202e\u200b\u2028<b>\xff"
	r, c := small(t), compared(t)
	r.Title, r.Workload.Name, r.Workload.Format, r.Workload.Filters = evil, evil, evil, []string{evil}
	r.Workload.Dropped = []Dropped{{Reason: evil + strings.Repeat(" word", 100) + "FORGED", Rows: 2}}
	r.Workload.Read = r.Workload.Jobs + 2
	c.Title = evil
	for i := range c.Runs {
		c.Runs[i].Name = evil + strings.Repeat("Z", 10_000)
	}
	for i := range c.Pareto.Points {
		c.Pareto.Points[i].Name = evil
	}
	c.Pareto.CostName = evil
	colours := regexp.MustCompile(`\x1b\[(0|1|2|3[0-9]|90)m`)
	for _, colour := range []bool{false, true} {
		var out bytes.Buffer
		o := TextOptions{Color: colour, Width: 100}
		if err := errors.Join(r.WriteText(&out, o), c.WriteText(&out, o), r.WriteCSV(&out)); err != nil {
			t.Fatal(err)
		}
		text := colours.ReplaceAllString(out.String(), "")
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "FORGED") || len(line) > 4<<10 {
				t.Errorf("a name made the line %.100q", line)
			}
			for _, c := range strings.TrimSuffix(line, "\n") {
				if !unicode.IsPrint(c) {
					t.Fatalf("colours %t: %U in %.200q", colour, c, line)
				}
			}
		}
		if n := strings.Count(text, "evil"); n < 8 {
			t.Errorf("colours %t: the names are shown %d times", colour, n)
		}
	}
	var page bytes.Buffer
	if err := errors.Join(r.WriteHTML(&page), c.WriteHTML(&page)); err != nil || strings.Contains(page.String(), "2J\u202e\u200b\u2028<b>") {
		t.Errorf("HTML: %v", err)
	}
}
