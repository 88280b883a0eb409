package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// module writes a module with one test file for each package, and makes it the current folder.
func module(t *testing.T, packages map[string]string) {
	t.Helper()
	dir := t.TempDir()
	write := func(path, text string) {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(dir, "go.mod"), "module m\n\ngo 1.24\n")
	for name, body := range packages {
		write(filepath.Join(dir, name, "x_test.go"), "package x\n\nimport \"testing\"\n\n"+body)
	}
	t.Chdir(dir)
	t.Setenv("GOWORK", "off")
	t.Setenv("GOFLAGS", "")
}

func check(t *testing.T, args []string, wantCode int, says, leavesOut []string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(args, &stdout, &stderr); code != wantCode {
		t.Errorf("exit code %d, not %d: %s", code, wantCode, stderr.String())
	}
	for _, s := range says {
		if !strings.Contains(stdout.String(), s) {
			t.Errorf("it does not say %q:\n%s", s, stdout.String())
		}
	}
	for _, s := range leavesOut {
		if strings.Contains(stdout.String(), s) {
			t.Errorf("it says %q:\n%s", s, stdout.String())
		}
	}
}

func TestWhatIsShown(t *testing.T) {
	module(t, map[string]string{
		"good": "func TestQuiet(t *testing.T) { t.Log(\"not shown\") }\nfunc TestNeedsMoon(t *testing.T) { t.Skip(\"install moon\") }\n" +
			"func FuzzX(f *testing.F) { f.Add(1); f.Fuzz(func(t *testing.T, _ int) { t.Skip(\"an input\") }) }\n",
		"bad": "func TestQuiet(t *testing.T) { t.Log(\"not shown\") }\n" +
			"func TestBad(t *testing.T) { t.Run(\"sub\", func(t *testing.T) { t.Log(\"before\"); t.Error(\"wrong\") }) }\n",
		"panics": "func TestPanics(t *testing.T) { println(\"to stderr\"); panic(\"at the disco\") }\n",
		"broken": "func TestBroken(t *testing.T) { undefined() }\n",
	})
	check(t, []string{"./..."}, 1, []string{
		"ok  \tm/good", "    1  install moon (m/good)\n", "Skipped tests", ": 1\n", "before", "wrong", "--- FAIL: TestBad/sub", "FAIL\tm/bad",
		"panic: at the disco", "to stderr", "FAIL\tm/panics", "undefined: undefined", "FAIL\tm/broken",
	}, []string{"not shown", "an input", "=== RUN", "{\"Time\""})
}

func TestNothingLeftOut(t *testing.T) {
	module(t, map[string]string{"good": "func TestGood(*testing.T) {}\n"})
	check(t, []string{"./..."}, 0, []string{"ok  \tm/good", "No test was skipped.\n"}, []string{"PASS", "TestGood"})
}

func TestExitCodeIsThatOfGoTest(t *testing.T) {
	module(t, map[string]string{"good": "func TestGood(*testing.T) {}\n"})
	check(t, []string{"-run"}, 2, nil, nil) // wrong usage
}

// TestKilledGoTestIsAFailure: tests that were ended from outside did not pass.
func TestKilledGoTestIsAFailure(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a Unix shell")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go"), []byte("#!/bin/sh\nkill -9 $$\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	check(t, nil, 1, nil, nil)
}
