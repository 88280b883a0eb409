package report

import (
	"encoding/csv"
	"io"
	"strconv"
	"time"
)

// WriteCSV writes the figures as rows of "key,value" below that header: the scalars of the JSON form in its order, with their paths as
// keys (see [Figure]). The curves are not among them: [Report.WriteTimelineCSV].
func (r *Report) WriteCSV(w io.Writer) error {
	d := r.document()
	d.Timeline = nil
	rows, err := flatten(d)
	if err != nil {
		return err
	}
	out := csv.NewWriter(w)
	_ = out.Write([]string{"key", "value"}) // errors stay with the writer
	for _, row := range rows {
		_ = out.Write([]string{row.path, row.text()})
	}
	out.Flush()
	return out.Error()
}

// WriteTimelineCSV writes a row for every step of the curves: its start as time and in seconds, the mean and the largest queue, jobs that
// run, instances by state, and the policy in force at the start of the step (counted from 1; empty: none). Without curves there is only
// the header.
func (r *Report) WriteTimelineCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"time", "seconds", "queue", "queue_peak", "running", "booting", "idle", "busy", "drain", "policy"})
	t := r.Result.Timeline
	if t == nil {
		out.Flush()
		return out.Error()
	}
	edges := r.Result.Policies
	for i := range t.Queue {
		at := time.Duration(i) * t.Step
		for len(edges) > 1 && edges[1].At <= at {
			edges = edges[1:]
		}
		policy := ""
		if len(edges) > 0 && edges[0].Policy >= 0 {
			policy = strconv.Itoa(edges[0].Policy + 1)
		}
		line := []string{r.Result.Start.Add(at).Format(time.RFC3339), rounded(at.Seconds(), 3)}
		for _, v := range []float64{t.Queue[i], t.Peak[i], t.Running[i], t.Booting[i], t.Idle[i], t.Busy[i], t.Drain[i]} {
			line = append(line, rounded(v, 3))
		}
		_ = out.Write(append(line, policy))
	}
	out.Flush()
	return out.Error()
}
