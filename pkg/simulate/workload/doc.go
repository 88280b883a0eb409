// Package workload makes workloads for package simulate. [Open] and [Read] read the jobs of a log, in one of several formats. [Spec] makes
// synthetic jobs from a line of text.
//
// # Logs
//
// The format is detected from the content, or given in [Options]. gzip files are decompressed first.
//
//   - csv: a line of names, then one job a line. [Options] says how columns are found.
//   - jsonl: one JSON object a line. Its members have the names of a CSV file's columns.
//   - gitlab: responses of GitLab's jobs API, one page or several pages one after the other. A job became runnable queued_duration before
//     started_at. created_at is not that moment: it is the creation of the pipeline, when later stages cannot start yet.
//   - github: responses of GitHub's endpoint for the jobs of a workflow run. A job became runnable at created_at: GitHub creates a job when
//     the jobs that it needs have ended. (Time spent waiting for a concurrency group or an environment's approval counts as waiting.) Each
//     attempt is a job of its own. A result that an attempt copied from an earlier attempt is not a job.
//   - swf: the Standard Workload Format 2.2 of the Parallel Workloads Archive.
//   - taskcluster: 8 bytes a job, big endian: arrival and duration in milliseconds, as 32-bit numbers.
//
// Every row that does not become a job is counted in [Loaded.Dropped], with its reason.
//
// In the logs of CI systems (csv, jsonl, gitlab, github), a run time of zero means a job that was cancelled before it ran. Such jobs are
// dropped unless [Options.KeepZero] is set. In swf a run time of zero means less than half a second, and in taskcluster less than a
// millisecond; these jobs are kept.
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
