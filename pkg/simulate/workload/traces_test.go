package workload

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// trace is the path of a real log that is not a part of the project.
func trace(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join("..", "..", "..", "..", "shared", "traces", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the real log %s is not beside this checkout (looked in %s): nothing is compared with it", name, path)
	}
	return path
}

func open(t testing.TB, name string, o Options) *Loaded {
	t.Helper()
	l, err := Open(trace(t, name), o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// quantiles are the nearest ranks, in whole seconds.
func quantiles(values []time.Duration, qs ...float64) []int {
	sorted := slices.Sorted(slices.Values(values))
	var out []int
	for _, q := range qs {
		out = append(out, int(sorted[min(int(q*float64(len(sorted))), len(sorted)-1)].Round(time.Second).Seconds()))
	}
	return out
}

func durations(l *Loaded) []time.Duration {
	var out []time.Duration
	for _, j := range l.Jobs.List {
		out = append(out, j.Duration)
	}
	return out
}

func mean(values []time.Duration) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v.Seconds()
	}
	return sum / float64(len(values))
}

func TestFirefoxTraces(t *testing.T) {
	for _, tc := range []struct {
		file              string
		jobs, hours, mean int
		p50, p90, p99     int
		load              float64
	}{
		{"firefox-ci-t-linux-large.dat", 106233, 111, 1221, 1177, 1820, 3260, 325},
		{"firefox-ci-b-linux.dat", 36511, 111, 666, 259, 1787, 3432, 61},
		{"firefox-ci-mobile-b-linux.dat", 5254, 91, 448, 191, 1440, 2402, 7},
	} {
		t.Run(tc.file, func(t *testing.T) {
			l := open(t, tc.file, Options{})
			if l.Format != Taskcluster || l.Rows != tc.jobs || len(l.Jobs.List) != tc.jobs || l.droppedTotal() != 0 || l.OutOfOrder != 0 {
				t.Errorf("read as %s: %v", l.Format, l.Notes())
			}
			if h := int(l.span().Hours() + 0.5); h != tc.hours || !l.Origin.IsZero() || l.Waits != nil {
				t.Errorf("%d hours, want %d; origin %v", h, tc.hours, l.Origin)
			}
			d := durations(l)
			got := quantiles(d, 0.5, 0.9, 0.99)
			for i, want := range []int{tc.p50, tc.p90, tc.p99} { // theirs are interpolated
				if got[i] < want-2 || got[i] > want+2 {
					t.Errorf("lengths %v, want about %d at the %d.", got, want, i+1)
				}
			}
			if int(mean(d)+0.5) != tc.mean {
				t.Errorf("mean length %.1f, want %d", mean(d), tc.mean)
			}
			if load := mean(d) * float64(tc.jobs) / l.span().Seconds(); load < tc.load-1 || load > tc.load+1 {
				t.Errorf("mean load %.1f, want %v", load, tc.load)
			}
		})
	}
}

func TestBitcoinsCI(t *testing.T) {
	l := open(t, "bitcoin-core-ci.csv.gz", Options{})
	if l.Format != CSV || l.Rows != 17002 || len(l.Jobs.List) != 17002-83-543 {
		t.Errorf("%v", l.Notes())
	}
	drops := map[string]int{}
	for _, d := range l.Dropped {
		drops[d.Reason] = d.Count
	}
	if drops[whyNegative] != 83 || drops[whyZero] != 543 || len(drops) != 2 {
		t.Errorf("dropped %v, want 83 of negative and 543 of zero run time", l.Dropped)
	}
	if got := quantiles(l.Waits, 0.5, 0.9, 0.99, 1); !slices.Equal(got, []int{27, 663, 5413, 24100}) {
		t.Errorf("recorded waits %v, want 27 663 5413 24100", got)
	}
	if got := quantiles(durations(l), 0.5, 0.9, 0.99, 1); !slices.Equal(got, []int{938, 2227, 4679, 8599}) {
		t.Errorf("run times %v, want 938 2227 4679 8599", got)
	}
	if got := l.Origin.Format(time.DateOnly); got != "2025-09-04" {
		t.Errorf("it begins on %s, want 2025-09-04", got)
	}
	if got := l.Origin.Add(l.span()).Format(time.DateOnly); got != "2025-10-16" {
		t.Errorf("it ends on %s, want 2025-10-16", got)
	}
	if l.period() != 7*week {
		t.Errorf("period = %s, want 7 weeks over 42 days and some hours", l.period())
	}
	windows := open(t, "bitcoin-core-ci.csv.gz", Options{Names: []string{"Windows*"}, Columns: map[string]string{"tag": "name"}})
	if n := len(windows.Jobs.List); n == 0 || n >= len(l.Jobs.List) || len(windows.Waits) != n {
		t.Errorf("%d Windows jobs of %d", n, len(l.Jobs.List))
	}
	if len(windows.Jobs.Names) < 3 {
		t.Errorf("tags by name: %v", windows.Jobs.Names)
	}
}

func TestNASAsLog(t *testing.T) {
	l := open(t, "NASA-iPSC-1993-3.1-cln.swf.gz", Options{})
	if l.Format != SWF || len(l.Jobs.List) != 18239 || l.Waits != nil || l.droppedTotal() != 0 {
		t.Errorf("%v, waits known: %v", l.Notes(), l.Waits != nil)
	}
	if days := l.span().Hours() / 24; days < 91.5 || days > 92.5 {
		t.Errorf("%.1f days, want 92", days)
	}
	ran := slices.DeleteFunc(durations(l), func(d time.Duration) bool { return d == 0 })
	if got := quantiles(ran, 0.5, 0.9, 0.99); len(ran) != 18239-173 || !slices.Equal(got, []int{88, 1520, 10933}) {
		t.Errorf("%d run times above zero %v, want 18066, 88 1520 10933", len(ran), got)
	}
	if !l.Origin.Equal(time.Unix(749458803, 0)) {
		t.Errorf("origin %v", l.Origin)
	}
}
