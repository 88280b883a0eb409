package main

import (
	"strings"
	"testing"
)

const sample = `goos: linux
pkg: github.com/taskscaler/taskscaler/pkg/taskscaler
BenchmarkAcquireReleaseMemory/callers=64-2   	  100	  1400 ns/op	 0.1 p50-ms	 0.6 p99-ms	 700000 pairs/s
BenchmarkAcquireReleaseMemory/callers=64-2   	  100	  1400 ns/op	 0.1 p50-ms	 0.7 p99-ms	 720000 pairs/s
BenchmarkReferenceMailbox/callers=64-2   	  100	  800 ns/op	 1250000 pairs/s
BenchmarkListDiff/changed=10000-2   	  100	  4000000 ns/op
PASS
pkg: github.com/taskscaler/taskscaler/pkg/connector
BenchmarkBesideOpenSSH/warm-2   	  1	  9.0 ours-p95-ms	 5.0 ssh-p95-ms
BenchmarkBesideOpenSSH/transfer/up-2   	  1	  400 ours-MB/s	 500 ssh-MB/s
PASS
pkg: github.com/taskscaler/taskscaler/internal/scaler
BenchmarkAcquireRelease/1000-2   	  100	  300 ns/op
BenchmarkAcquireRelease/100000-2   	  100	  330 ns/op
`

// TestRows: medians, quotients, what is missed and what is missing.
func TestRows(t *testing.T) {
	var out strings.Builder
	if err := run(strings.NewReader(sample), &out); err != nil {
		t.Fatal(err)
	}
	got := out.String()
	if !strings.HasPrefix(got, sample) {
		t.Error("the input was not passed through")
	}
	for _, want := range []string{
		"acquire + release, 64 callers, memory store | ≥ 300,000 | 710,000 pairs/s", "of a bare mailbox | ≥ 0.5 | 0.57 | 1,250,000 pairs/s",
		"p99 | ≤ 0.5 | 0.65 p99-ms | MISSED", "of jackc/puddle | – | 710,000 pairs/s | not measured",
		"a hot step at 100,000 instances, of one at 1,000 | ≤ 2 | 1.10 | 300 ns/op", "all changed | ≤ 5,000,000 | 4,000,000 ns/op",
		"a warm connection, p95 | ≤ 1.5 | 1.80 | 5 ssh-p95-ms | MISSED", "1 GiB to the instance | ≥ 0.5 | 0.80 | 500 ssh-MB/s",
		"every step checked | ≥ 50,000 | not measured",
	} {
		if !strings.Contains(columns(got), want) {
			t.Errorf("no %q in\n%s", want, columns(got))
		}
	}
}

// TestOnlyWhatWasMeasured: a table without any value is left out.
func TestOnlyWhatWasMeasured(t *testing.T) {
	for input, want := range map[string][2]bool{
		sample: {true, true}, "": {},
		"pkg: x/pkg/connector\nBenchmarkBesideOpenSSH/cold-2 1 20 ours-conn/s 10 ssh-conn/s\n": {false, true},
		"pkg: x/internal/scaler\nBenchmarkAcquireRelease/1000-2 1 300 ns/op\n":                 {},
		"pkg: x/internal/scaler\nBenchmarkAcquireRelease/100000-2 1 300 ns/op\n":               {true, false},
	} {
		var out strings.Builder
		if err := run(strings.NewReader(input), &out); err != nil {
			t.Fatal(err)
		}
		if got := [2]bool{strings.Contains(out.String(), "a bare mailbox"), strings.Contains(out.String(), "connections a second, cold")}; got != want {
			t.Errorf("%q prints %v, want %v", input, got, want)
		}
	}
}

// columns writes runs of two and more spaces as " | ".
func columns(s string) string {
	var lines []string
	for line := range strings.Lines(s) {
		var cells []string
		for cell := range strings.SplitSeq(strings.TrimSpace(line), "  ") {
			if cell = strings.TrimSpace(cell); cell != "" {
				cells = append(cells, cell)
			}
		}
		lines = append(lines, strings.Join(cells, " | "))
	}
	return strings.Join(lines, "\n")
}
