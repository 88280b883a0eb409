// Package workload makes workloads for package simulate: [Open] and [Read] read the jobs of a log in one of several formats, [Spec] makes
// synthetic jobs from a line of text.
//
// # Logs
//
// The format is told from the content, or named in [Options]. gzip is taken off first.
//
//   - csv: a line of names, then a job a line; see [Options] for how columns are found.
//   - jsonl: a JSON object a line, with the same names as a CSV file would have.
//   - gitlab: the answers of GitLab's jobs API, one page or several behind each other. A job became runnable queued_duration before
//     started_at. created_at is not that moment: it is when its pipeline was made, and later stages have not even begun then.
//   - github: the answers of GitHub's endpoint for the jobs of a workflow run. A job became runnable at created_at: GitHub makes a job
//     when what it needs is done. (Time spent behind a concurrency group or an environment's approval counts as waiting.) Each attempt is
//     a job of its own; a result that an attempt took over from an earlier one is not.
//   - swf: the Standard Workload Format 2.2 of the Parallel Workloads Archive.
//   - taskcluster: 8 bytes a job, big endian: arrival and duration in milliseconds as 32-bit numbers.
//
// Every row that does not become a job is counted in [Loaded.Dropped] with its reason.
//
// A run time of zero is a job that was cancelled before it ran in the logs of CI systems (csv, jsonl, gitlab, github), and is dropped there
// unless [Options.KeepZero] is set; in swf it is one of less than half a second, and in taskcluster one of less than a millisecond.
//
// # Specs
//
//	poisson:rate=0.05/s,duration=exp:600s,jobs=100000
//	poisson:rate=300/h,profile=office,tz=Asia/Seoul,duration=lognormal:p50=4m,p95=25m,for=30d
//	poisson:rate=1/m,burst=40/1h,duration=hyperexp:p=0.9,a=60s,b=1800s,for=1w
//	burst:size=200,every=1d,offset=2h,duration=const:10m,tag=nightly,for=30d + poisson:rate=1/m,duration=exp:5m,for=30d
//
// [Spec] describes every key.
package workload
