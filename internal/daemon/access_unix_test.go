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
		"[runners.autoscaler.connector_config]\n%KEY% = \"key\"\n"
	for name, c := range map[string]struct {
		file, key os.FileMode
		token     bool
		want      []string // severity and words of each problem
	}{
		"private":               {0o600, 0o600, true, nil},
		"readable":              {0o644, 0o600, true, []string{"warning config.toml: other users can read chmod 600"}},
		"readable by a group":   {0o640, 0o400, true, []string{"warning config.toml: other users can read chmod 600"}},
		"without a secret":      {0o644, 0o600, false, nil},
		"written by all":        {0o666, 0o600, false, []string{"fault config.toml: every user may write chmod go-w"}},
		"a readable key":        {0o600, 0o644, false, []string{"warning key: other users can read chmod 600"}},
		"a readable passphrase": {0o600, 0o644, false, []string{"warning key: other users can read chmod 600"}},
		"a key written by all":  {0o600, 0o602, false, []string{"fault key: every user may write chmod go-w"}},
	} {
		named := "key_path"
		if strings.Contains(name, "passphrase") {
			named = "key_passphrase_path"
		}
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
		write(path, strings.NewReplacer("%TOKEN%", token, "%KEY%", named).Replace(text), c.file)
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

// TestAccessOfFiles: each file that connector_config names is examined, and a problem has the line of its key. Certificates and known hosts are no secrets.
func TestAccessOfFiles(t *testing.T) {
	for key, secret := range map[string]bool{
		"key_path": true, "key_passphrase_path": true, "winrm_ca_file": false, "proxy_jump_key_path": true, "proxy_jump_key_passphrase_path": true,
		"proxy_jump_known_hosts_path": false,
	} {
		dir := t.TempDir()
		file, report := config.Parse(filepath.Join(dir, "config.toml"), []byte("[[runners]]\nname = \"r\"\nexecutor = \"instance\"\n[runners.autoscaler]\n"+
			"plugin = \"fake\"\n[runners.autoscaler.connector_config]\ntimeout = \"1m\"\n"+key+" = \"named\"\n"))
		if err := report.Err(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "named"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for mode, want := range map[os.FileMode]string{0o600: "", 0o644: "other users can read", 0o646: "every user may write"} {
			if mode == 0o644 && !secret {
				want = ""
			}
			if err := os.Chmod(filepath.Join(dir, "named"), mode); err != nil {
				t.Fatal(err)
			}
			got := CheckAccess(file)
			if want == "" && len(got) == 0 {
				continue
			}
			if len(got) != 1 || want == "" || !strings.Contains(got[0].Message, want) || got[0].Line != 8 || got[0].Key != "runners.autoscaler.connector_config."+key {
				t.Errorf("%s, mode %o: %v, want %q", key, mode, got, want)
			}
		}
	}
}

// TestAccessOfAPassphraseInTheFile: it is a secret like a token.
func TestAccessOfAPassphraseInTheFile(t *testing.T) {
	accessOfSecrets(t, tinyWithPassphrase, 1)
}

// TestAccessOfSecretsOfThePlugin: the names of the keys in plugin_config say whether there are secrets.
func TestAccessOfSecretsOfThePlugin(t *testing.T) {
	for text, want := range map[string]int{
		"api_key = \"hunter2\"": 1, "logins = [{ user = \"me\", client_secret = [\"hunter2\"] }]": 1, "region = \"eu\"": 0, "token_file = \"/etc/token\"": 0, "password = \"\"": 0,
	} {
		accessOfSecrets(t, "[[runners]]\nname = \"r\"\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = \"fake\"\nmax_instances = 1\n"+
			"[runners.autoscaler.plugin_config]\n"+text+"\n", want)
	}
}

// accessOfSecrets checks how many warnings say that others can read the secrets of a file with this text, if they can read the file.
func accessOfSecrets(t *testing.T, text string, readable int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[os.FileMode]int{0o600: 0, 0o644: readable} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, report, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(problemsOf(report), "other users can read the secrets"); n != want {
			t.Errorf("mode %o: %d times, not %d, in %s of\n%s", mode, n, want, problemsOf(report), text)
		}
	}
}

const tinyWithPassphrase = "[[runners]]\nname = \"r\"\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = \"fake\"\nmax_instances = 1\n" +
	"[runners.autoscaler.connector_config]\nkey_path = \"key\"\nkey_passphrase = \"hunter2\"\n"

func problemsOf(report *config.Report) string {
	var b strings.Builder
	for _, p := range report.Problems {
		b.WriteString(p.Error() + "\n")
	}
	return b.String()
}
