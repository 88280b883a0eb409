//go:build unix

package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/config"
)

// TestAccess: who can read and write the configuration and the keys decides between nothing, a warning and a fault.
func TestAccess(t *testing.T) {
	const text = "[[runners]]\nname = \"r\"\nexecutor = \"instance\"\n%TOKEN%[runners.autoscaler]\nplugin = \"fake\"\nmax_instances = 1\n" +
		"[runners.autoscaler.connector_config]\nkey_path = \"key\"\n"
	for name, c := range map[string]struct {
		file, key os.FileMode
		token     bool
		want      []string // severity and words of each problem
	}{
		"private":              {0o600, 0o600, true, nil},
		"readable":             {0o644, 0o600, true, []string{"warning config.toml: other users can read chmod 600"}},
		"readable by a group":  {0o640, 0o400, true, []string{"warning config.toml: other users can read chmod 600"}},
		"without a secret":     {0o644, 0o600, false, nil},
		"written by all":       {0o666, 0o600, false, []string{"fault config.toml: every user may write chmod go-w"}},
		"a readable key":       {0o600, 0o644, false, []string{"warning key: other users can read chmod 600"}},
		"a key written by all": {0o600, 0o602, false, []string{"fault key: every user may write chmod go-w"}},
	} {
		dir := t.TempDir()
		path, key := filepath.Join(dir, "config.toml"), filepath.Join(dir, "key")
		token := ""
		if c.token {
			token = "token = \"glrt-secret\"\n"
		}
		write := func(path, text string, mode os.FileMode) {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, mode); err != nil { // whatever the umask is
				t.Fatal(err)
			}
		}
		write(path, strings.ReplaceAll(text, "%TOKEN%", token), c.file)
		write(key, "a key", c.key)
		link := filepath.Join(dir, "link.toml")
		if err := os.Symlink("config.toml", link); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{path, link} {
			_, report, err := Load(path)
			if err != nil {
				t.Fatal(err)
			}
			var got []config.Problem
			for _, p := range report.Problems {
				if p.Code == config.CodeAccess {
					got = append(got, p)
				}
			}
			if len(got) != len(c.want) {
				t.Errorf("%s: %v", name, got)
				continue
			}
			for i, want := range c.want {
				words := strings.SplitN(want, " ", 3)
				what := strings.TrimSuffix(words[1], ":")
				if path == link && what == "config.toml" {
					what = "link.toml"
				}
				text, remedy, _ := strings.Cut(words[2], " chmod ")
				if p := got[i]; p.Severity.String() != words[0] || strings.Count(p.Error(), what+": "+text) != 1 || strings.Contains(p.Message, path) || !strings.HasPrefix(p.Remedy, "chmod "+remedy) ||
					strings.Contains(p.Error(), "glrt-secret") {
					t.Errorf("%s: %s: %v", name, p.Severity, p)
				}
			}
		}
	}
}
