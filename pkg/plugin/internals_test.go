package plugin

import (
	"context"
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
	"unicode/utf8"

	"google.golang.org/grpc"

	"github.com/taskscaler/taskscaler/pkg/plugin/internal/pb"
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

// A secret that comes after the first line of the log is removed from the next one, whoever it is from.
func TestRedactorKnowsEachNewSecretAtOnce(t *testing.T) {
	r := newRedactor()
	for n, add := range []func(password string){
		func(p string) { r.addMade(provider.ConnectorConfig{Password: p}) },
		func(p string) { r.addGiven(provider.ConnectorConfig{Password: p}) },
		func(p string) { r.addConfig(json.RawMessage(`{"api_key":"` + p + `"}`)) },
		func(p string) { r.addMade(provider.ConnectorConfig{Password: p}) },
	} {
		secret := fmt.Sprintf("secret-word-%d", n)
		line := "it logs in with " + secret
		if got := r.text(line); got != line {
			t.Errorf("before it is known: %q", got)
		}
		add(secret)
		if got := r.text(line); got != "it logs in with [redacted]" {
			t.Errorf("addition %d: %q", n, got)
		}
	}
}

// A secret in a plugin's output is removed if its bytes are broken, if it is cut, or if it goes over two lines. The rest of it is not shown either.
func TestLogPumpRemovesDamagedSecrets(t *testing.T) {
	const secret = "pw-secret-of-an-instance"
	for name, text := range map[string]string{
		"a broken byte":          "it is pw-secret\xff-of-an-instance",
		"one in place of a byte": "it is pw-secret\xffof-an-instance",
		"one in a record":        "{\"@message\":\"it is pw-sec\xffret-of-an-instance\"}",
		"one in an attribute":    "{\"@message\":\"it is\",\"a\":[\"pw-secret-of\x00-an-instance\"]}",
		"white space":            "{\"@message\":\"it is pw-secret-of-an-\\n\\tinstance\"}",
		"two lines":              "it is pw-secret-of-an-ins\ntance",
		"the end of a long line": strings.Repeat("x", maxLogLine-20) + secret,
		"hexadecimal":            fmt.Sprintf("it is %x", secret),
		"a header":               "it is Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+secret)),
		"an open quote":          "it is password=\"hunter2 pw-secret\n-of-an-instance",
		"a number":               "{\"@message\":\"it is\",\"a\":314159265}",
	} {
		var out strings.Builder
		r := newRedactor()
		r.addGiven(provider.ConnectorConfig{Password: secret})
		r.addConfig(json.RawMessage(`{"token": 314159265, "pem_secret": "-----BEGIN-----\nline-one-of-the-key\n-----END-----"}`))
		pump := &logPump{log: slog.New(slog.NewTextHandler(&out, nil)), redact: r}
		pump.read(strings.NewReader(text + "\nline-one-of-the-key\n"))
		shown := out.String() + strings.Join(pump.last(tailLines), "\n")
		for _, part := range []string{"pw-sec", "instance", "hunter2", "314159265", "3.14159265", "line-one", fmt.Sprintf("%x", secret)[:12], "cHctc2Vj", "B3LXNlY3"} {
			if strings.Contains(shown, part) {
				t.Errorf("%s: %q is shown:\n%s", name, part, shown)
			}
		}
		if !strings.Contains(shown, "it is") && !strings.Contains(shown, "xxx") {
			t.Errorf("%s: nothing is shown:\n%s", name, shown)
		}
	}
}

// Whatever a plugin prints, the host does not panic and logs no secret, also if noise is in it. A log record stays one bounded line of text.
func FuzzLogPump(f *testing.F) {
	for _, s := range []string{
		`{"@level":"info","@message":"x","a":[1,"pw-secret"],"@timestamp":5}`, `{"@message":1}`, "panic: pw-secret\n\ngoroutine 1", "{", "\x00\xff", "",
		"{\"@message\":\"\\u0070w-secret\"}", strings.Repeat("x", 2*maxLogLine), "pw-\xffsecret", "pw-se\ncret", "{\"@message\":\"pw-\xffsecret\",\"n\":[\"pw-\\u0000secret\"]}",
	} {
		f.Add(s)
	}
	noise := strings.NewReplacer(`\ufffd`, "", "\ufffd", "", `\x00`, "", `\xff`, "", `\n`, "", `\r`, "", `\t`, "")
	check := func(t *testing.T, text, shown string) {
		if strings.Contains(shown, "pw-secret") || strings.Contains(noise.Replace(shown), "pw-secret") {
			t.Fatalf("%q is shown as %s", text, shown)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		var out strings.Builder
		r := newRedactor()
		r.addGiven(provider.ConnectorConfig{Password: "pw-secret"})
		pump := &logPump{log: slog.New(slog.NewTextHandler(&out, nil)), redact: r}
		pump.read(strings.NewReader(text))
		for line := range strings.Lines(out.String()) {
			check(t, text, line)
			if len(line) > 4*(maxLogText+maxAttrs*(maxKey+maxValue)) || !utf8.ValidString(line) || strings.ContainsRune(line, 0x1b) {
				t.Fatalf("%q is logged as %q", text, line)
			}
		}
		for _, line := range pump.last(tailLines) {
			check(t, text, line)
			if len(line) > tailWidth {
				t.Fatalf("%d bytes are remembered: %q", len(line), line)
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

// diesAfterInit is a plugin whose process ends when it has answered Init, before the answer is noted.
type diesAfterInit struct {
	pb.InstanceGroupClient
	end func()
}

// Init implements pb.InstanceGroupClient.
func (d diesAfterInit) Init(context.Context, *pb.InitRequest, ...grpc.CallOption) (*pb.InitResponse, error) {
	d.end()
	return &pb.InitResponse{Id: "group"}, nil
}

// TestDeathRightAfterInit: a plugin that dies as soon as it has answered Init is started again, like one that dies later.
func TestDeathRightAfterInit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(LaunchOptions{Path: filepath.Join(t.TempDir(), "none"), Logger: slog.New(slog.DiscardHandler), InitTimeout: time.Minute,
			RelaunchMin: time.Second, RelaunchMax: time.Second})
		c := &child{born: time.Now(), run: &runner{}}
		c.rpc = diesAfterInit{end: func() { p.gone(c) }}
		p.cur = c
		if info, err := p.Init(t.Context(), nil, provider.Settings{}); err != nil || info.ID != "group" {
			t.Fatalf("%+v, %v", info, err)
		}
		time.Sleep(time.Minute)
		p.mu.Lock()
		attempts := p.attempts
		p.mu.Unlock()
		if attempts < 10 {
			t.Errorf("%d attempts to start it again in a minute", attempts)
		}
		p.stop()
		p.wg.Wait()
	})
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
