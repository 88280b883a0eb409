package config

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/nearest"
	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// maxFileSize is far more than any real config.toml has. It stops a wrong path from filling the memory.
const maxFileSize = 4 << 20

// Load reads and checks the file at path. It returns an error only when the file cannot be read; the Report says what is wrong in the
// file. The File is complete only when the Report has no fault. It is nil when the file is not valid TOML.
func Load(path string) (*File, *Report, error) {
	data, err := Read(path)
	if err != nil {
		return nil, nil, err
	}
	file, report := Parse(path, data)
	return file, report, nil
}

// Read returns the bytes of a configuration file, for Parse or ParseFragment. It may be a pipe. A file that is far too large for one is an error.
func Read(path string) ([]byte, error) {
	const remedy = "give the path of a config.toml that this user can read"
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w (%s)", err, remedy)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w (%s)", err, remedy)
	}
	if len(data) > maxFileSize {
		return nil, fmt.Errorf("read configuration: %s is larger than %d MiB; give the path of a config.toml", path, maxFileSize>>20)
	}
	return data, nil
}

// Parse checks data as Load does. Messages name path, and relative paths in data start from its folder. The file at path is not read.
func Parse(path string, data []byte) (*File, *Report) {
	r := newReader(path, false)
	return r.parse(data), &r.report
}

// ValidateFragment checks a part of a file that begins at [runners.…] or below, such as an example of the documentation. It does not
// require the keys that a whole file needs.
func ValidateFragment(path string, data []byte) *Report {
	_, report := ParseFragment(path, data)
	return report
}

// ParseFragment is ValidateFragment that also returns what was read. The File lacks what the fragment lacks. It is nil when data is not valid
// TOML.
func ParseFragment(path string, data []byte) (*File, *Report) {
	r := newReader(path, true)
	return r.parse(data), &r.report
}

func newReader(path string, fragment bool) *reader {
	absolute, err := filepath.Abs(path)
	if err != nil { // the working directory no longer exists, so relative paths stay relative
		absolute = path
	}
	return &reader{path: path, absolute: absolute, dir: filepath.Dir(absolute), fragment: fragment, asked: map[string]bool{}}
}

func (r *reader) parse(data []byte) *File {
	root, bad := parseDocument(r.path, data)
	if bad != nil {
		r.report.Problems = append(r.report.Problems, *bad)
		return nil
	}
	file := r.file(r.section(root, ""))
	r.report.sort()
	return file
}

// file reads the head and the runners.
func (r *reader) file(head section) *File {
	r.strangers(head, gitlabHead)
	f := &File{
		Path:            r.absolute,
		Concurrent:      head.count("concurrent"),
		CheckInterval:   head.seconds("check_interval", 3*time.Second),
		ShutdownTimeout: head.seconds("shutdown_timeout", 0),
		LogLevel: head.choice("log_level", "info", map[string]string{"trace": "debug", "debug": "debug", "info": "info", "warn": "warn",
			"warning": "warn", "error": "error", "fatal": "error", "panic": "error"}, []string{"debug", "info", "warn", "error"}),
		LogFormat: head.choice("log_format", "text", map[string]string{"text": "text", "runner": "text", "json": "json"},
			[]string{"text", "json", "runner"}),
		ListenAddress: head.line("listen_address"),
	}
	if n := head.get("concurrent"); n != nil && n.value == int64(0) {
		head.warn(CodeUnbounded, n, "concurrent", "is 0: GitLab Runner does not start with this value, and taskscaler reads it as not set",
			"write how many jobs the runner process runs at once, or remove the line")
	}
	tables := r.runnerTables(head)
	scaled := false
	for i, n := range tables {
		s := r.section(n, "runners")
		f.Runners = append(f.Runners, r.runner(s, i+1))
		runner := &f.Runners[i]
		if runner.Autoscaler != nil {
			r.warnJobs(head, s, f, runner)
		}
		scaled = scaled || runner.Autoscaler != nil || needsSection(runner.Executor)
	}
	markShared(f.Runners)
	if !scaled && !r.fragment && len(r.report.Faults()) == 0 {
		r.add(Warning, CodeNoFleet, nil, "", "no runner has a [runners.autoscaler] section, so taskscaler has nothing to do",
			"add [runners.autoscaler] to a runner, or give another file")
	}
	return f
}

// GitLab Runner's other keys that look like misspelt or misplaced keys of ours. They are not reported.
var (
	gitlabHead   = []string{"sentry_dsn", "connection_max_age", "session_server", "experimental", "labels", "machine", "user"}
	gitlabRunner = []string{"environment", "labels", "shell", "machine", "docker", "kubernetes", "ssh", "parallels", "virtualbox", "custom", "cache",
		"custom_build_dir", "feature_flags", "referees", "monitoring", "store"}
)

// strangers checks a table that holds both GitLab Runner's keys and ours. It reports an unknown key that is probably one of ours, but
// misspelt or in the wrong section, and ignores all others. A misplaced section and a misspelt key of the head are faults. A plain key
// of a runner is only a warning, because a later GitLab Runner may have it.
func (r *reader) strangers(s section, foreign []string) {
	for _, name := range s.n.order {
		if slices.Contains(schema[s.path], name) || slices.Contains(foreign, name) {
			continue
		}
		n := s.n.children[name]
		table := n.kind == kindTable || n.kind == kindArray
		severity, what := Warning, "key"
		if table {
			severity, what = Fault, "section"
		}
		remedy := ""
		if at := homes[name]; len(at) > 0 {
			remedy = "it belongs in " + header(at[0])
		} else if near := nearest.Guess(name, schema[s.path]); near != "" && len(near) > 3 && (s.path == "" || table == sections[s.key(near)]) {
			remedy = nearest.DidYouMean(near)
			if s.path == "" {
				severity = Fault
			}
		}
		if remedy != "" {
			s.add(severity, CodeUnknownKey, n, s.key(bare(name)), fmt.Sprintf("unknown %s %q", what, name), remedy)
		}
	}
}

// runnerTables returns the tables of [[runners]]. A single [runners] table counts as one runner.
func (r *reader) runnerTables(head section) []*node {
	return head.tables("runners", "runners", func(n *node) {
		if !r.fragment {
			head.warn(CodeLoneRunners, n, "runners", "is a single [runners] table; it is read as one runner", "write it as [[runners]]")
		}
	})
}

func (r *reader) runner(s section, index int) Runner {
	r.strangers(s, gitlabRunner)
	out := Runner{
		Index: index, Line: s.n.line,
		Name: s.line("name"), URL: s.line("url"), ID: s.id(), Token: secret.New(s.str("token", "")),
		Executor: s.line("executor"), Limit: s.count("limit"), Instance: r.instance(s),
	}
	if n := s.get("autoscaler"); n != nil {
		out.Autoscaler = r.autoscaler(s.table("autoscaler"))
	}
	r.executor(s, out)
	return out
}

// id reads the runner's number.
func (s section) id() string {
	n := s.get("id")
	if n == nil {
		return ""
	}
	v, ok := n.value.(int64)
	if !ok {
		s.mistyped(n, "id", "an integer", integerRemedy("id", n))
		return ""
	}
	if v < 0 {
		s.fault(CodeNegative, n, "id", fmt.Sprintf("is %d, but a runner's id cannot be negative", v), "copy the id from GitLab, or remove the line")
		return ""
	}
	if v == 0 { // a runner that was never registered has id 0
		return ""
	}
	return fmt.Sprint(v)
}

// seconds reads a duration of the head of the file, which GitLab Runner writes as an integer number of seconds.
func (s section) seconds(name string, absent time.Duration) time.Duration {
	n := s.get(name)
	if n == nil {
		return absent
	}
	if text, ok := n.value.(string); ok {
		remedy := "write a number of seconds"
		if d, err := time.ParseDuration(text); err == nil && d >= 0 {
			remedy = fmt.Sprintf("write %s = %d", name, int64((d+time.Second-1)/time.Second))
		}
		s.mistyped(n, name, "an integer: this key is in seconds", remedy)
		return absent
	}
	if v := s.count(name); v != 0 {
		return time.Duration(v) * time.Second
	}
	return absent
}

// instance reads [runners.instance]; its other keys are GitLab Runner's.
func (r *reader) instance(s section) Instance {
	n := s.get("instance")
	if n != nil && n.kind != kindTable {
		s.mistyped(n, "instance", "a table", "write it as [runners.instance]")
	}
	t := r.section(n, "runners.instance")
	out := Instance{UseCommonBuildDir: t.flag("use_common_build_dir", false)}
	images := t.get("allowed_images")
	if images != nil && images.kind == kindString {
		for _, image := range strings.Split(images.value.(string), ",") {
			if image = strings.TrimSpace(image); image != "" && t.isLine(images, "allowed_images", image, safetext.MaxPath) {
				out.AllowedImages = append(out.AllowedImages, image)
			}
		}
		t.warn(CodeImagesString, images, "allowed_images", "is a comma-separated string; it is read as a list", "write allowed_images = "+
			quoteList(out.AllowedImages))
		return out
	}
	for i, e := range t.texts("allowed_images") {
		if image := e.value.(string); t.isLine(e, fmt.Sprintf("allowed_images[%d]", i), image, safetext.MaxPath) {
			out.AllowedImages = append(out.AllowedImages, image)
		}
	}
	return out
}

func quoteList(items []string) string {
	quoted := make([]string, len(items))
	for i, item := range items {
		quoted[i] = fmt.Sprintf("%q", item)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// The executors of GitLab Runner. Only the first two use [runners.autoscaler].
var executors = []string{"docker-autoscaler", "instance", "docker", "docker-windows", "docker+machine", "kubernetes", "shell", "ssh",
	"parallels", "virtualbox", "custom"}

func needsSection(executor string) bool { return executor == executors[0] || executor == executors[1] }

// executor checks that the executor and [runners.autoscaler] fit together.
func (r *reader) executor(s section, runner Runner) {
	n := s.get("executor")
	if r.fragment {
		return
	}
	switch {
	case runner.Autoscaler == nil && needsSection(runner.Executor):
		if s.get("autoscaler") == nil {
			s.fault(CodeNoSection, n, "executor", fmt.Sprintf("is %q, which needs a [runners.autoscaler] section", runner.Executor),
				"add the section with at least plugin, max_instances and a policy, or write another executor")
		}
	case runner.Autoscaler == nil:
		if near := nearest.Guess(runner.Executor, executors); near != runner.Executor && needsSection(near) {
			s.fault(CodeValue, n, "executor", fmt.Sprintf("unknown executor %q", runner.Executor), nearest.DidYouMean(near))
		}
	case runner.Executor == "":
		if n == nil || n.value == "" { // another value is a fault already
			at := n
			if at == nil {
				at = s.n
			}
			s.fault(CodeMissing, at, "executor", "is missing: a runner with [runners.autoscaler] needs an executor", `write executor = "docker-autoscaler" or "instance"`)
		}
	case !needsSection(runner.Executor):
		s.warn(CodeExecutor, n, "executor", fmt.Sprintf("is %q: GitLab Runner ignores [runners.autoscaler] with this executor", runner.Executor),
			meantExecutor(runner.Executor))
	}
}

func meantExecutor(executor string) string {
	if near := nearest.Guess(executor, executors); needsSection(near) {
		return nearest.DidYouMean(near)
	}
	return `write "docker-autoscaler" or "instance" if GitLab Runner is to use the group; taskscaler manages it in any case`
}
