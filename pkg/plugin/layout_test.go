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

// layout installs versions of plugins, as registry/repository/name/version, below a plugin folder.
func layout(t *testing.T, versions ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, v := range versions {
		folder := filepath.Join(dir, filepath.FromSlash(v))
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		install(t, folder, "plugin")
	}
	return dir
}

// TestInstalledVersions: the newest installed version that matches is found, in the order of semantic versions.
func TestInstalledVersions(t *testing.T) {
	const ours = "registry.example.com/group/plugins/aws/"
	dir := layout(t, ours+"1.4.9", ours+"1.5.0", ours+"1.5.10", ours+"1.5.9", ours+"2.0.0-rc.1", ours+"junk", "registry.gitlab.com/gitlab-org/fleeting/plugins/aws/9.0.0",
		"registry.gitlab.com/own/group/openstack/0.1.0", "localhost:5000/x/pre/1.0.0-beta.2", "localhost:5000/x/pre/1.0.0-beta.11", "localhost:5000/x/pre/1.0.0-beta")
	path := install(t, t.TempDir(), "fleeting-plugin-flat", "fleeting-plugin-aws")
	o := plugin.FindOptions{Dirs: []string{dir}, Path: path}
	at := func(parts ...string) string {
		return filepath.Join(append(append([]string{dir}, parts...), "plugin")...)
	}
	for name, want := range map[string]string{
		"aws": at(ours, "1.5.10"), "aws:latest": at(ours, "1.5.10"), "fleeting-plugin-aws:1": at(ours, "1.5.10"), "aws:1.5": at(ours, "1.5.10"), "aws:1.5.0": at(ours, "1.5.0"),
		"aws:1.4": at(ours, "1.4.9"), "aws:2.0.0-rc.1": at(ours, "2.0.0-rc.1"), "aws:2": filepath.Join(path, "fleeting-plugin-aws"), // whose version only it knows
		"registry.example.com/group/plugins/aws:1.5.9": at(ours, "1.5.9"), "registry.gitlab.com/gitlab-org/fleeting/plugins/aws": at("registry.gitlab.com/gitlab-org/fleeting/plugins/aws/9.0.0"),
		"own/group/openstack": at("registry.gitlab.com/own/group/openstack/0.1.0"), "openstack": at("registry.gitlab.com/own/group/openstack/0.1.0"),
		"localhost:5000/x/pre": at("localhost:5000/x/pre/1.0.0-beta.11"), "pre": at("localhost:5000/x/pre/1.0.0-beta.11"), "flat:7.1": filepath.Join(path, "fleeting-plugin-flat"),
	} {
		got, err := plugin.Locate(name, o)
		if got.Path != want || err != nil || got.Why == "" {
			t.Errorf("%s: %+v, %v; want %s", name, got, err, want)
		}
		if inPath := strings.HasPrefix(want, path); inPath != (got.Constraint != "") || inPath != (got.Version == "") {
			t.Errorf("%s: %+v", name, got)
		}
	}
	var none *plugin.FindError
	if _, err := plugin.Locate("openstack:2", o); !errors.As(err, &none) || !slices.Equal(none.Versions, []string{"0.1.0"}) || !strings.Contains(err.Error(), "installed are 0.1.0") {
		t.Errorf("%v", err)
	}
	if _, err := plugin.Locate("pre:1", o); !errors.As(err, &none) || len(none.Versions) != 3 {
		t.Errorf("a pre-release is meant by 1: %v", err)
	}
	for _, bad := range []string{"aws:", "aws:new", "aws:1.2.3.4", "aws:>=1"} {
		if bad == "aws:" {
			continue // an empty version is none
		}
		if _, err := plugin.Locate(bad, o); err == nil || !strings.Contains(err.Error(), "is not a version") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	all := plugin.Installed(o)
	if len(all) != 12 || all[0].Version != "1.0.0-beta.11" || all[len(all)-1].Name != "flat" {
		t.Errorf("%d: %+v", len(all), all)
	}
}

// TestTwoSources: a bare name that two sources could mean is refused, and the message names them.
func TestTwoSources(t *testing.T) {
	o := plugin.FindOptions{Dirs: []string{layout(t, "a.example/x/aws/1.0.0"), layout(t, "b.example/x/aws/2.0.0")}}
	if _, err := plugin.Locate("aws", o); err == nil || !strings.Contains(err.Error(), "write one of a.example/x/aws, b.example/x/aws") {
		t.Errorf("%v", err)
	}
	if got, err := plugin.Locate("b.example/x/aws", o); err != nil || got.Version != "2.0.0" {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestInstalledButUnusable: a version without its run bit is named.
func TestInstalledButUnusable(t *testing.T) {
	dir := layout(t, "a.example/x/aws/1.0.0")
	path := filepath.Join(dir, "a.example/x/aws/1.0.0/plugin")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := plugin.Locate("aws", plugin.FindOptions{Dirs: []string{dir}}); err == nil || !strings.Contains(err.Error(), "chmod +x "+path) {
		t.Errorf("%v", err)
	}
}

// TestFolderThatCannotBeRead: it hides itself, and no plugin that comes after it. Its path is longer than the system takes, so that root cannot read it either.
func TestFolderThatCannotBeRead(t *testing.T) {
	long := strings.Repeat("l", 250)
	dir := t.TempDir()
	for len(dir) < 2000 {
		dir = filepath.Join(dir, long)
	}
	folder := filepath.Join(dir, "b.example/x/aws/1.0.0")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	install(t, folder, "plugin")
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	if err := root.MkdirAll(filepath.Join(slices.Concat([]string{"a.example"}, slices.Repeat([]string{long}, 9))...), 0o755); err != nil {
		t.Skip("the system takes no such path: ", err)
	}
	defer func() { _ = root.RemoveAll("a.example") }()
	o := plugin.FindOptions{Dirs: []string{dir}}
	if got, err := plugin.Locate("aws", o); err != nil || got.Path != filepath.Join(folder, "plugin") {
		t.Errorf("%+v, %v", got, err)
	}
	if all := plugin.Installed(o); len(all) != 1 {
		t.Errorf("%+v", all)
	}
}
