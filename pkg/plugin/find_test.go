package plugin_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/plugin"
)

func install(t *testing.T, dir string, names ...string) string {
	t.Helper()
	for _, n := range names {
		if err := os.WriteFile(filepath.Join(dir, n), nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFind(t *testing.T) {
	beside := install(t, t.TempDir(), "fleeting-plugin-fake", "fleeting-plugin-gcp", "taskscaler")
	own := install(t, t.TempDir(), "fleeting-plugin-fake", "fleeting-plugin-aws", "fleeting-plugin-mine")
	path := install(t, t.TempDir(), "fleeting-plugin-aws", "fleeting-plugin-static")
	if err := os.WriteFile(filepath.Join(beside, "fleeting-plugin-static"), nil, 0o600); err != nil { // not executable
		t.Fatal(err)
	}
	o := plugin.FindOptions{Beside: beside, Dirs: []string{own, "/no/such/folder"}, Path: "relative:" + path}
	for name, want := range map[string]string{
		"fake":                 filepath.Join(beside, "fleeting-plugin-fake"),
		"fleeting-plugin-fake": filepath.Join(beside, "fleeting-plugin-fake"),
		"aws":                  filepath.Join(own, "fleeting-plugin-aws"),
		"aws:latest":           filepath.Join(own, "fleeting-plugin-aws"),
		"gcp":                  filepath.Join(beside, "fleeting-plugin-gcp"),
		"googlecloud":          filepath.Join(beside, "fleeting-plugin-gcp"),
		"fleeting-plugin-mine": filepath.Join(own, "fleeting-plugin-mine"),
		"static":               filepath.Join(path, "fleeting-plugin-static"),
		filepath.Join(own, "fleeting-plugin-aws"): filepath.Join(own, "fleeting-plugin-aws"),
	} {
		if got, err := plugin.Find(name, o); got != want || err != nil {
			t.Errorf("Find(%q) = %q, %v; want %q", name, got, err, want)
		}
	}
	t.Chdir(own)
	if got, err := plugin.Find("./fleeting-plugin-mine", o); err == nil || !strings.Contains(err.Error(), "write the absolute path") {
		t.Errorf("a relative path: %q, %v", got, err)
	}
	if got, err := plugin.Find("mine", plugin.FindOptions{Beside: ".", Dirs: []string{".", ""}, Path: ".:"}); err == nil {
		t.Errorf("a plugin was found in a relative folder: %q", got)
	}
}

func TestFindSaysWhatThereIs(t *testing.T) {
	dir := install(t, t.TempDir(), "fleeting-plugin-fake", "fleeting-plugin-aws")
	o := plugin.FindOptions{Beside: dir, Path: dir}
	_, err := plugin.Find("azure", o)
	var fe *plugin.FindError
	if !errors.As(err, &fe) || fe.Registry || !slices.Equal(fe.Searched, []string{dir}) || !slices.Equal(fe.Installed, []string{"aws", "fake"}) {
		t.Fatalf("azure: %v (%+v)", err, fe)
	}
	for _, s := range []string{"fleeting-plugin-azure", dir, "installed: aws, fake", "docs/plugins.md"} {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%q is missing in: %v", s, err)
		}
	}
	for _, name := range []string{"group/aws", "registry.example.com/group/plugins/aws:1.5"} {
		_, err := plugin.Find(name, o)
		if !errors.As(err, &fe) || !fe.Registry || !strings.Contains(err.Error(), `e.g. "aws"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"", " ", "/no/such/plugin", "./nor-this"} {
		if path, err := plugin.Find(name, o); err == nil {
			t.Errorf("Find(%q) = %q", name, path)
		}
	}
	if _, err := plugin.Find("aws", plugin.FindOptions{}); err == nil || !strings.Contains(err.Error(), "no plugin is installed") {
		t.Errorf("with nowhere to look: %v", err)
	}
}

func TestDefaultFindOptions(t *testing.T) {
	env := map[string]string{"PATH": "/bin", "TASKSCALER_PLUGIN_PATH": "/a:/b", "FLEETING_PLUGIN_PATH": "/c", "HOME": "/home/u"}
	o := plugin.DefaultFindOptions(func(k string) string { return env[k] })
	want := []string{"/a", "/b", "/c", "/home/u/.config/taskscaler/plugins"}
	if !slices.Equal(o.Dirs, want) || o.Path != "/bin" || !filepath.IsAbs(o.Beside) {
		t.Errorf("%+v", o)
	}
	env["XDG_CONFIG_HOME"] = "/xdg"
	if o := plugin.DefaultFindOptions(func(k string) string { return env[k] }); !slices.Contains(o.Dirs, "/xdg/taskscaler/plugins") {
		t.Errorf("%+v", o)
	}
}
