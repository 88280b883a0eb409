package plugin

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

func TestRedactor(t *testing.T) {
	r := newRedactor()
	r.addGiven(provider.ConnectorConfig{Username: "someone", Password: "pass", Key: []byte("line-one-of-the-key\nshort\n")})
	r.addConfig(json.RawMessage(`{"api_key": "k-e-y", "deep": [{"client_secret": {"value": "deep-one"}}], "name": "visible",
		"credentials_file": "/etc/visible", "token": "ab", "number": 5}`))
	r.addMade(provider.ConnectorConfig{Password: "password-and-more"})
	for in, want := range map[string]string{
		"nothing":                 "nothing",
		"someone has pass":        "someone has [redacted]",
		"password-and-more":       "[redacted]", // the longer secret is replaced first
		"k-e-y, deep-one":         "[redacted], [redacted]",
		"visible /etc/visible ab": "visible /etc/visible ab", // a value of two letters is not redacted
		"line-one-of-the-key":     "[redacted]",
		"short":                   "short",
		base64.StdEncoding.EncodeToString([]byte("line-one-of-the-key\nshort\n")): "[redacted]",
	} {
		if got := r.text(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

// The redactor keeps a limited number of credentials that the plugin made. It never forgets those of the operator.
func TestRedactorForgetsTheOldestMadeOnly(t *testing.T) {
	r := newRedactor()
	r.addGiven(provider.ConnectorConfig{Password: "the-operators"})
	for i := range 3 * maxMadeSecrets {
		r.addMade(provider.ConnectorConfig{Password: fmt.Sprintf("made-%06d", i)})
	}
	if len(r.made) > maxMadeSecrets {
		t.Errorf("%d are remembered", len(r.made))
	}
	last := fmt.Sprintf("made-%06d", 3*maxMadeSecrets-1)
	if got := r.text("made-000000 " + last + " the-operators"); got != "made-000000 [redacted] [redacted]" {
		t.Errorf("got %q", got)
	}
}

// Whatever a plugin prints, the host does not panic and logs no secret.
func FuzzLogPump(f *testing.F) {
	for _, s := range []string{
		`{"@level":"info","@message":"x","a":[1,"pw-secret"],"@timestamp":5}`, `{"@message":1}`, "panic: pw-secret\n\ngoroutine 1", "{", "\x00\xff", "",
		"{\"@message\":\"\\u0070w-secret\"}", strings.Repeat("x", 2*maxLogLine),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var out strings.Builder
		r := newRedactor()
		r.addGiven(provider.ConnectorConfig{Password: "pw-secret"})
		pump := &logPump{log: slog.New(slog.NewTextHandler(&out, nil)), redact: r}
		pump.read(strings.NewReader(text))
		if strings.Contains(out.String(), "pw-secret") {
			t.Fatalf("%q was logged as %s", text, out.String())
		}
		for _, line := range pump.last(tailLines) {
			if strings.Contains(line, "pw-secret") {
				t.Fatalf("%q is remembered as %q", text, line)
			}
		}
	})
}

// A folder is removed when its host is gone, and only then.
func TestSweepSocketDirs(t *testing.T) {
	base := t.TempDir()
	make := func(name string, age time.Duration, lock bool, mode os.FileMode) string {
		dir := filepath.Join(base, name)
		if err := os.Mkdir(dir, mode); err != nil {
			t.Fatal(err)
		}
		owner, err := os.Create(filepath.Join(dir, ownerFile))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = owner.Close() })
		if lock && !lockFile(owner) {
			t.Fatal("cannot lock")
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(dir, at, at); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	stale := make(socketDirPrefix+"stale", time.Hour, false, 0o700)
	keep := []string{
		make(socketDirPrefix+"used", time.Hour, true, 0o700), make(socketDirPrefix+"young", 0, false, 0o700),
		make(socketDirPrefix+"open", time.Hour, false, 0o755), make("another-program", time.Hour, false, 0o700),
	}
	sweepSocketDirs(base, time.Now())
	if _, err := os.Stat(stale); !os.IsNotExist(err) {
		t.Errorf("the dead host's folder: %v", err)
	}
	for _, dir := range keep {
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("swept too much: %v", err)
		}
	}
}

func TestHandshakeVersion(t *testing.T) {
	for line, want := range map[string]string{
		"1|1|unix|/tmp/x|grpc|cert": "1", "1|12|tcp|127.0.0.1:1|grpc": "12", "1|x|unix|/": "", "hello": "", "": "", "|1|unix|": "",
	} {
		if got, ok := handshakeVersion(line); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", line, got, ok)
		}
	}
}

func TestVersionInfo(t *testing.T) {
	v := VersionInfo{Name: "fleeting-plugin-x", Version: "1.2.3", Revision: "abc", Reference: "v1.2.3", BuiltAt: "2026-01-02T03:04:05Z"}
	if v.String() != "1.2.3" || (VersionInfo{}).String() != "dev" {
		t.Errorf("%q, %q", v.String(), VersionInfo{}.String())
	}
	for _, s := range []string{"sha=abc; ref=v1.2.3; go=go", "built_at=2026-01-02T03:04:05Z; os_arch="} {
		if !strings.Contains(v.BuildInfo(), s) {
			t.Errorf("%q is missing in %q", s, v.BuildInfo())
		}
	}
	if full := v.Full(); !strings.HasPrefix(full, "Name:") || strings.Count(full, "\n") != 8 {
		t.Errorf("Full is %q", full)
	}
}

// Only calls of one method that follow one another without an answer between them count.
func TestUnansweredCalls(t *testing.T) {
	at := func(seconds int) time.Time { return time.Unix(int64(seconds), 0) }
	var a answers
	miss := func(method string, from, to int, want bool) {
		t.Helper()
		if got := a.missed(method, at(from), at(to), 5*time.Second); got != want {
			t.Errorf("%s from %d to %d: %v", method, from, to, got)
		}
	}
	miss("Update", 0, 10, false)
	miss("Update", 9, 19, false) // overlaps the first one
	miss("Increase", 20, 30, false)
	miss("Update", 20, 22, false) // had too little time
	a.answered("Update")
	miss("Update", 30, 40, false)
	miss("Update", 40, 50, true)
	miss("Increase", 31, 41, true)
}

// TestPauseAfterASteadyRun: the pause before the next start grows with each short run, and is the shortest again after a long one.
func TestPauseAfterASteadyRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(LaunchOptions{Logger: slog.New(slog.DiscardHandler), RelaunchMin: time.Second, RelaunchMax: time.Minute})
		defer p.stop()
		ends := func(ran time.Duration) time.Duration {
			p.cur = &child{born: time.Now().Add(-ran), run: &runner{}}
			p.gone(p.cur)
			return p.nextPause()
		}
		const most = 6 * time.Second / 5 // a second, and a fifth of it at random
		var last time.Duration
		for range 5 {
			last = ends(steadyAfter - time.Second)
		}
		if last < 8*most {
			t.Errorf("after five short runs the pause is %v", last)
		}
		for range 3 {
			if pause := ends(steadyAfter); pause > most {
				t.Errorf("after a long run the pause is %v", pause)
			}
		}
		if pause := ends(0); pause <= most {
			t.Errorf("after another short run the pause is %v", pause)
		}
	})
}
