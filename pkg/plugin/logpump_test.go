package plugin

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func pumped(t *testing.T, text string) string {
	t.Helper()
	var out strings.Builder
	pump := &logPump{log: slog.New(slog.NewTextHandler(&out, nil)).With("runner", "one"), redact: newRedactor()}
	pump.read(strings.NewReader(text))
	return out.String()
}

// A plugin's record cannot overwrite or forge what the manager says in its own records.
func TestLogRecordForgesNothing(t *testing.T) {
	got := pumped(t, `{"@level":"info","@message":"a\nlevel=ERROR msg=forged","level":"ERROR","msg":"x","time":"1970","runner":"two","fact":"revoke","n":1}`+"\n\x1b[2Jplain\n")
	for _, want := range []string{
		`level=INFO msg="a level=ERROR msg=forged" runner=one fields.fact=revoke fields.level=ERROR fields.msg=x fields.n=1 fields.runner=two fields.time=1970`,
		`msg=\x1b[2Jplain runner=one`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is missing in\n%s", want, got)
		}
	}
	if n := strings.Count(got, "\n"); n != 2 {
		t.Errorf("%d lines:\n%s", n, got)
	}
}

// What is assigned to a name that says that it is secret is not logged, also before the host knows the secret.
func TestSecretNamesAreRedactedFromTheStart(t *testing.T) {
	for _, line := range []string{
		`{"@message":"m","password":"hunter2"}`, `{"@message":"m","db_token":["hunter2"]}`, `{"@message":"m","cfg":{"api_key":"hunter2"}}`,
		`{"@message":"m password=hunter2 next"}`, `login with API_KEY="hunter2 x"`, `secret = 'hunter2'`, `{"client_secret": "hunter2", "x": 1}`,
		`https://x/?access_token=hunter2&y=1`,
	} {
		if got := pumped(t, line); strings.Contains(got, "hunter2") || !strings.Contains(got, redacted) {
			t.Errorf("%s is logged as %s", line, got)
		}
	}
	for _, line := range []string{`{"@message":"m","key_path":"/etc/k"}`, "the token has expired", "unknown key \"pasword\" (did you mean \"password\"?)"} {
		if got := pumped(t, line); strings.Contains(got, redacted) {
			t.Errorf("%s is logged as %s", line, got)
		}
	}
}

// A plugin that prints without end fills neither the disk nor the memory, and the log says how much is missing.
func TestLogIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		pump := &logPump{log: slog.New(slog.NewTextHandler(&out, nil)), redact: newRedactor()}
		for n := range 10_000 {
			pump.line(fmt.Sprint("line ", n), false)
		}
		if last := pump.last(1); last[0] != "line 9999" {
			t.Errorf("the last words of a plugin that prints too much are %q", last)
		}
		time.Sleep(time.Second)
		pump.line("after a pause", false)
		got := out.String()
		if n := strings.Count(got, "msg=\"line "); n != maxPerSecond {
			t.Errorf("%d lines were logged", n)
		}
		if !strings.Contains(got, fmt.Sprintf("lines were dropped\" lines=%d limit_per_second=%d", 10_000-maxPerSecond, maxPerSecond)) || !strings.Contains(got, "after a pause") {
			t.Errorf("the end of the log:\n%s", got[max(0, len(got)-300):])
		}
		if last := pump.last(1); last[0] != "after a pause" {
			t.Errorf("the last words are %q", last)
		}
	})
	var fields []string
	for n := range 1000 {
		fields = append(fields, fmt.Sprintf(`"k%d%s":"%s"`, n, strings.Repeat("k", 1000), strings.Repeat("v", 100)))
	}
	if got := pumped(t, `{"@message":"`+strings.Repeat("m", 10000)+`"}`+"\n"); len(got) > 5000 {
		t.Errorf("a message of 10 kB became a line of %d bytes", len(got))
	}
	if got := pumped(t, `{"@message":"m",`+strings.Join(fields[:50], ",")+"}\n"); len(got) > maxAttrs*300 {
		t.Errorf("50 attributes became a line of %d bytes", len(got))
	}
}
