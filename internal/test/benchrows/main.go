// Command benchrows passes the output of go test -bench through, so that benchstat can read it. Then it prints a table of the project's
// budgets: for each row the requirement, the measured value (the median of all runs), and the reference of the same run. The command never
// fails because of a speed: people judge it, because they know what else the machine was doing.
package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/taskscaler/taskscaler/internal/words"
	"golang.org/x/perf/benchfmt"
)

// figure names one metric of one benchmark: the last element of the package, the benchmark, and the unit.
type figure struct{ bench, unit string }

// row is one budget. With a reference, required is the quotient of the two.
type row struct {
	what      string
	of        figure
	reference figure
	required  float64
	atMost    bool // true: required is a maximum; false: a minimum
}

var rows = []row{
	{"acquire + release, 64 callers, memory store", figure{"taskscaler.AcquireReleaseMemory/callers=64", "pairs/s"}, figure{}, 300_000, false},
	{"  of a bare mailbox", figure{"taskscaler.AcquireReleaseMemory/callers=64", "pairs/s"},
		figure{"taskscaler.ReferenceMailbox/callers=64", "pairs/s"}, 0.5, false},
	{"  of a channel pool", figure{"taskscaler.AcquireReleaseMemory/callers=64", "pairs/s"}, figure{"taskscaler.ReferenceChannelPool", "pairs/s"}, 0, false},
	{"  of jackc/puddle", figure{"taskscaler.AcquireReleaseMemory/callers=64", "pairs/s"}, figure{"reference.ReferencePuddle", "pairs/s"}, 0, false},
	{"  p99", figure{"taskscaler.AcquireReleaseMemory/callers=64", "p99-ms"}, figure{}, 0.5, true},
	{"acquire + release, 256 callers, bbolt with fsync", figure{"taskscaler.AcquireReleaseBolt/callers=256", "pairs/s"}, figure{}, 50_000, false},
	{"  of a bare group commit", figure{"taskscaler.AcquireReleaseBolt/callers=256", "pairs/s"},
		figure{"taskscaler.ReferenceGroupCommit/callers=256", "pairs/s"}, 0.6, false},
	{"  p99", figure{"taskscaler.AcquireReleaseBolt/callers=256", "p99-ms"}, figure{}, 10, true},
	{"a hot step at 100,000 instances, of one at 1,000", figure{"scaler.AcquireRelease/100000", "ns/op"}, figure{"scaler.AcquireRelease/1000", "ns/op"}, 2, true},
	{"a random release at 100,000", figure{"scaler.RandomRelease", "ns/release"}, figure{}, 3000, true},
	{"memory of an idle instance", figure{"scaler.Memory", "B/instance"}, figure{}, 1024, true},
	{"the diff of a list of 10,000, all changed", figure{"taskscaler.ListDiff/changed=10000", "ns/op"}, figure{}, 5e6, true},
	{"from a request to the call of the plugin", figure{"taskscaler.ScaleUpLatency", "ms/scale-up"}, figure{}, 100, true},
	{"simulate, one core, a trace of 2M jobs", figure{"simulate.TiledTrace", "jobs/s"}, figure{}, 500_000, false},
	{"simulate, every step checked", figure{"simulate.CheckedTrace", "jobs/s"}, figure{}, 50_000, false},
}

// besideOpenSSH is a table of its own: make bench-ssh measures it alone.
var besideOpenSSH = []row{
	beside("connections a second, cold", "cold", "conn/s", 0, false),
	beside("a command on a warm connection, p95", "warm", "p95-ms", 1.5, true),
	beside("1 GiB to the instance", "transfer/up", "MB/s", 0.5, false),
	beside("  seconds of CPU", "transfer/up", "cpu-s", 0, true),
	beside("1 GiB from the instance", "transfer/down", "MB/s", 0.5, false),
	beside("  seconds of CPU", "transfer/down", "cpu-s", 0, true),
	beside("1,000 sessions on 50 instances, until all run", "sessions", "s", 0, true),
}

// beside is a row of BenchmarkBesideOpenSSH: ours in quotients of OpenSSH's ssh.
func beside(what, bench, unit string, required float64, atMost bool) row {
	of := "connector.BesideOpenSSH/" + bench
	return row{what, figure{of, "ours-" + unit}, figure{of, "ssh-" + unit}, required, atMost}
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "benchrows:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	values, err := read(io.TeeReader(in, out))
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, table := range [][]row{rows, besideOpenSSH} {
		if !slices.ContainsFunc(table, func(r row) bool { return len(values[r.of]) > 0 }) {
			continue
		}
		_, _ = fmt.Fprint(w, "\nbudget\trequired\tmeasured\treference\t\n")
		for _, r := range table {
			_, _ = fmt.Fprintln(w, r.line(values))
		}
	}
	return w.Flush()
}

// read collects all values by figure.
func read(in io.Reader) (map[figure][]float64, error) {
	values := map[figure][]float64{}
	lines := benchfmt.NewReader(in, "stdin")
	for lines.Scan() {
		res, ok := lines.Result().(*benchfmt.Result)
		if !ok {
			continue // not a line of a benchmark
		}
		pkg := res.GetConfig("pkg")
		name := res.Name.String()
		if i := strings.LastIndexByte(name, '-'); i > 0 && strings.Trim(name[i+1:], "0123456789") == "" { // GOMAXPROCS
			name = name[:i]
		}
		for _, v := range res.Values {
			unit, value := v.Unit, v.Value
			if v.OrigUnit != "" { // benchfmt converts ns to seconds
				unit, value = v.OrigUnit, v.OrigValue
			}
			f := figure{pkg[strings.LastIndexByte(pkg, '/')+1:] + "." + name, unit}
			values[f] = append(values[f], value)
		}
	}
	return values, lines.Err()
}

func (r row) line(values map[figure][]float64) string {
	required := "–"
	sign := "≥ "
	if r.atMost {
		sign = "≤ "
	}
	if r.required > 0 {
		required = sign + number(r.required)
	}
	got, ok := median(values[r.of])
	if !ok {
		return strings.Join([]string{r.what, required, "not measured", "", ""}, "\t")
	}
	measured, reference := number(got)+" "+r.of.unit, ""
	if r.reference.bench != "" {
		ref, ok := median(values[r.reference])
		if !ok || ref == 0 {
			return strings.Join([]string{r.what, required, measured, "not measured", ""}, "\t")
		}
		measured, reference, got = fmt.Sprintf("%.2f", got/ref), number(ref)+" "+r.reference.unit, got/ref
	}
	verdict := ""
	if r.required > 0 && (got > r.required) == r.atMost && got != r.required {
		verdict = "MISSED"
	}
	return strings.Join([]string{r.what, required, measured, reference, verdict}, "\t")
}

func median(v []float64) (float64, bool) {
	if len(v) == 0 {
		return 0, false
	}
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2, true
}

// number is v with four digits, with commas if it is large.
func number(v float64) string {
	if v < 1000 {
		return fmt.Sprintf("%.4g", v)
	}
	return words.Thousands(fmt.Sprintf("%.0f", v))
}
