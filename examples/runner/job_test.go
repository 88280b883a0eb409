package runner

import (
	"maps"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestReadJob(t *testing.T) {
	job, err := ReadJob("job.json", strings.NewReader(`{"id": "7", "script": ["make", "make test"],
		"env": {"A": "1", "B": ""}, "timeout": "90s", "image": "x:1"}`))
	if err != nil {
		t.Fatal(err)
	}
	if job.ID != "7" || strings.Join(job.Script, "|") != "make|make test" || !maps.Equal(job.Env, map[string]string{"A": "1", "B": ""}) ||
		job.Timeout != 90*time.Second || job.Image != "x:1" {
		t.Errorf("job = %+v", job)
	}
	first, err := ReadJob("job.json", strings.NewReader(`{"script": ["true"]}`))
	if err != nil || first.Timeout != DefaultTimeout {
		t.Fatalf("%+v, %v", first, err)
	}
	if second, err := ReadJob("job.json", strings.NewReader(`{"script": ["true"]}`)); err != nil || second.ID == "" || second.ID == first.ID {
		t.Errorf("ids %q and %q, %v", first.ID, second.ID, err)
	}
}

func TestReadJobSaysWhatIsWrong(t *testing.T) {
	for text, want := range map[string][]string{
		`{"scirpt": ["a"]}`:                         {`unknown key "scirpt"`, "script"},
		`{"Script": ["a"]}`:                         {`unknown key "Script"`},
		`{"script": "make"}`:                        {`key "script"`, "list of shell commands"},
		`{"script": ["a"], "id": "a\nb"}`:           {`key "id"`, "U+000A"},
		`{"script": ["a"], "id": " "}`:              {`key "id"`, "empty"},
		`{"script": []}`:                            {`key "script"`, "empty"},
		`{}`:                                        {`key "script"`, "missing"},
		`null`:                                      {`key "script"`},
		`{"script": ["a\u0000b"]}`:                  {`key "script"`, "NUL"},
		`{"script": ["a"], "timeout": 5}`:           {`key "timeout"`, `"10m"`},
		`{"script": ["a"], "timeout": "5"}`:         {`key "timeout"`, `"5"`},
		`{"script": ["a"], "timeout": "-5s"}`:       {`key "timeout"`, `above 0`},
		`{"script": ["a"], "env": ["A=1"]}`:         {`key "env"`, "object of strings"},
		`{"script": ["a"], "env": {"A-B": "1"}}`:    {`key "env"`, `"A-B"`},
		`{"script": ["a"], "env": {"A": "\u0000"}}`: {`key "env"`, "NUL"},
		`{"script": ["a"], "image": 3}`:             {`key "image"`, "alpine"},
		"{\n\"script\": [\"a\",]}":                  {"line 2", "one JSON object"},
		`{"script": ["a"]} {}`:                      {"line 1", "one JSON object"},
		`["a"]`:                                     {"one JSON object"},
		``:                                          {"one JSON object"},
	} {
		_, err := ReadJob("job.json", strings.NewReader(text))
		if err == nil {
			t.Errorf("%s: no error", text)
			continue
		}
		for _, part := range append(want, "job.json") {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q does not say %q", text, err, part)
			}
		}
	}
}

// TestInput lets a real shell read the input.
func TestInput(t *testing.T) {
	hostile := "a'b\"c$HOME`id`\\ \n$(id) é\t'"
	for name, c := range map[string]struct {
		job  Job
		want string
		code int
	}{
		"a variable is taken as it is":       {Job{Script: []string{`printf %s "$A"`}, Env: map[string]string{"A": hostile}}, hostile, 0},
		"the script's quotes are its own":    {Job{Script: []string{`echo 'a' "b" \c`}}, "a b c\n", 0},
		"a command cannot read the script":   {Job{Script: []string{`cat`, `echo end`}}, "end\n", 0},
		"the first failure ends the job":     {Job{Script: []string{`echo on`, `false`, `echo off`}}, "on\n", 1},
		"the exit code is that of the shell": {Job{Script: []string{`exit 42`}}, "", 42},
		"commands share their shell":         {Job{Script: []string{`x=1`, `cd /`, `echo $x $PWD`}}, "1 /\n", 0},
		"a command has several lines":        {Job{Script: []string{"cat <<END\none\nEND", "if true\nthen echo two\nfi"}}, "one\ntwo\n", 0},
		"a script that is no script":         {Job{Script: []string{`if`}}, "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command("sh", "-s")
			cmd.Stdin = strings.NewReader(c.job.Input())
			out, err := cmd.Output()
			if string(out) != c.want || cmd.ProcessState.ExitCode() != c.code {
				t.Errorf("%q, exit code %d (%v); want %q, %d", out, cmd.ProcessState.ExitCode(), err, c.want, c.code)
			}
		})
	}
}
