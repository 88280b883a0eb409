package main

import (
	"bytes"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/internal/faultproxy/httpgroup"
)

// TestPluginTestProxy: faults of the API, for the process of a plugin that has one wrong habit. The command reaches the cloud through the proxy that its
// own environment names: here the cloud itself.
func TestPluginTestProxy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bin := filepath.Join(dir, "fleeting-plugin-http")
	if out, err := exec.Command("go", "build", "-o", bin, "github.com/taskscaler/taskscaler/internal/faultproxy/httpgroup/cmd/fleeting-plugin-http").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cloud := httptest.NewServer(&httpgroup.Cloud{})
	defer cloud.Close()
	config := filepath.Join(dir, "config.toml")
	text := "[[runners]]\nname = \"r\"\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = \"http\"\nmax_instances = 5\n" +
		"[runners.autoscaler.plugin_config]\nbase = \"http://cloud.test\"\nhabit = \"no kinds\"\n[[runners.autoscaler.policy]]\nidle_count = 0\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	test := func(args ...string) (code int, stdout, stderr string) {
		var out, errs bytes.Buffer
		code = run(t.Context(), append([]string{"plugin", "test", bin, "--config", config, "--no-connect", "--proxy"}, args...), environment{
			stdin: strings.NewReader(""), stdout: &out, stderr: &errs, getenv: func(key string) string {
				if key == "HTTP_PROXY" {
					return cloud.URL
				}
				return ""
			}})
		return code, out.String(), errs.String()
	}
	code, out, errs := test("--live", "--only", "api-used,api-forbidden,api-throttled,api-broken,api-half,calls-return")
	if code != exitFailed {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	contains(t, "the report", out, "ok    api-used", "FAIL  api-forbidden", "returned an error of kind transient, where config fits", "Turn 403 into KindConfig",
		"ok    api-throttled", "ok    api-broken", "ok    api-half", "6 checks: 5 passed, 1 failed")
	for name, c := range map[string]struct{ text, want string }{
		"unknown": {`{"trottled": {"body": "x"}}`, `no answer has the name "trottled": did you mean "throttled"?`},
		"field":   {`{"throttled": {"bdy": "x"}}`, `is not a file for --proxy-answers: json: unknown field "bdy"; it looks like {"throttled"`},
	} {
		file := filepath.Join(dir, name+".json")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, out, errs := test("--proxy-answers", file); code != exitFailed || !strings.Contains(errs, c.want) || !strings.Contains(errs, file) {
			t.Errorf("%s: exit code %d\n%s%s", name, code, out, errs)
		}
	}
	if code, out, errs := test("--proxy-answers", filepath.Join(dir, "none.json")); code != exitFailed || !strings.Contains(errs, "reading --proxy-answers: open") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	answers := filepath.Join(dir, "answers.json")
	if err := os.WriteFile(answers, []byte(`{"forbidden": {"type": "text/plain", "body": "no"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := test("--only", "api-used,api-throttled", "--proxy-answers", answers); code != 0 {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}
