package config

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzParse: for every input, Parse returns without a panic, its problems lie within the file, and a file without faults is complete.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.toml", "testdata/bad/*.toml", "testdata/fragment/*.toml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range files {
			f.Add(readFile(f, path))
		}
	}
	f.Add([]byte("runners = [{}, {autoscaler = {policy = {periods = [[[]]]}}}]"))
	f.Add([]byte("[runners.\"autoscaler\"]\n\"\" = 1\n[runners.autoscaler.plugin_config]\n\"a.b\".c = 0x7fffffffffffffff\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		ValidateFragment("fragment.toml", data)
		file, report := Parse("config.toml", data)
		lines := strings.Count(string(data), "\n") + 1
		for i, p := range report.Problems {
			if p.Line < 0 || p.Line > lines || p.Column < 0 || p.Message == "" || p.Code == "" || p.Error() == "" {
				t.Fatalf("a strange problem: %+v", p)
			}
			if i > 0 && p.Line < report.Problems[i-1].Line {
				t.Fatalf("not sorted: %+v", report.Problems)
			}
		}
		if report.Err() != nil {
			return
		}
		for _, r := range file.Runners {
			a := r.Autoscaler
			if a == nil {
				continue
			}
			if a.Schedule == nil || a.CapacityPerInstance < 1 || a.UpdateInterval <= 0 || a.Throttle.Limit > 0 && a.Throttle.Burst < 1 ||
				!json.Valid(a.PluginConfig.Raw()) || !filepath.IsAbs(a.StateStorage.Dir) {
				t.Fatalf("a file without fault is incomplete: %+v", a)
			}
			if _, err := parsePlugin(a.Plugin); err != nil && !filepath.IsAbs(a.Plugin) {
				t.Fatal(err)
			}
		}
	})
}

// FuzzParsePlugin: the parts of an accepted name can be joined to the same name, and are safe in paths.
func FuzzParsePlugin(f *testing.F) {
	for _, s := range []string{"aws", "aws:1.5", "g/aws", "r.example.com:5000/g/h/aws:latest", "../x", ":", "/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ref, err := parsePlugin(text)
		if err != nil {
			return
		}
		var parts []string
		for _, p := range []string{ref.Registry, ref.Repository, ref.Name} {
			if p != "" {
				parts = append(parts, p)
			}
		}
		again := strings.Join(parts, "/")
		if ref.Constraint != "" {
			again += ":" + ref.Constraint
		}
		if again != text || ref.Name == "" || !filepath.IsLocal(ref.Name) || strings.ContainsAny(ref.Name, `/\:`) ||
			ref.Repository != "" && !filepath.IsLocal(ref.Repository) {
			t.Fatalf("%q became %+v", text, ref)
		}
	})
}
