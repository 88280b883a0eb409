package workload_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/pkg/simulate/workload"
)

func ExampleRead() {
	log := "queued_at,started_at,duration,tags\n" +
		"2026-03-02T08:00:00Z,2026-03-02T08:00:20Z,90,linux\n" +
		"2026-03-02T08:00:30Z,2026-03-02T08:00:31Z,0,linux\n" +
		"2026-03-02T08:05:00Z,2026-03-02T08:05:05Z,30,windows\n"
	l, err := workload.Read("jobs.csv", strings.NewReader(log), workload.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, note := range l.Notes() {
		fmt.Println(note)
	}
	for i, j := range l.Jobs.List {
		fmt.Println(j.Arrival, j.Duration, l.Jobs.Names[j.Tag], "waited", l.Waits[i])
	}
	// Output:
	// 2 jobs over 5m0s (csv)
	// columns: arrival=queued_at, started=started_at, duration=duration, tag=tags
	// 1 of 3 rows left out:
	//   1 × the run time is zero: cancelled before it ran (first: 3)
	// 0s 1m30s linux waited 20s
	// 5m0s 30s windows waited 5s
}

func ExampleSpec() {
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	w, err := workload.Spec("burst:size=2,every=1h,duration=10m,tag=nightly,for=2h + poisson:rate=1/h,duration=exp:5m,jobs=100", 1, start)
	if err != nil {
		fmt.Println(err)
		return
	}
	first, _ := w.Next()
	fmt.Println(w.Expected(), "jobs; the first:", first.Arrival, first.Duration, w.Tags()[first.Tag])

	_, err = workload.Spec("poisson:rate=1/h,duration=gauss:5m,jobs=100", 1, start)
	fmt.Println(err)
	// Output:
	// 104 jobs; the first: 0s 10m0s nightly
	// workload spec: "duration=gauss:5m": "gauss" is not a kind of duration; use const, exp, lognormal, hyperexp or empirical
}
