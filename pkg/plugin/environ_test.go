package plugin

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestChildEnv(t *testing.T) {
	host := []string{
		"HOME=/h", "PATH=/p", "LC_ALL=C", "LCX=no", "AWS_PROFILE=ci", "GOOGLE_CLOUD_PROJECT=p", "CLOUDSDK_X=1", "https_proxy=u", "HTTPS_PROXY=U",
		"CI_JOB_TOKEN=other", "AWSX=no", "OS_CLOUD=c", "OS_REGION=r", "WANTED=", "LD_PRELOAD=/x.so", cookieKey + "=c", "TASKSCALER_PLUGIN_HOST_PID=1", "SSL_CERT_FILE=f", "TZ=UTC",
	}
	got := childEnv(host, []string{"OS_*", "WANTED", "ABSENT", "TASKSCALER_*", "HOME=/other", "SET=a=b", "EMPTY=", "SET=again"})
	want := []string{
		"HOME=/other", "PATH=/p", "LC_ALL=C", "AWS_PROFILE=ci", "GOOGLE_CLOUD_PROJECT=p", "CLOUDSDK_X=1", "https_proxy=u", "HTTPS_PROXY=U",
		"OS_CLOUD=c", "OS_REGION=r", "WANTED=", "SSL_CERT_FILE=f", "TZ=UTC", "SET=again", "EMPTY=",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := unset(host, []string{"OS_*", "WANTED", "ABSENT", "NO_*", "X=1"}); !slices.Equal(got, []string{"ABSENT", "NO_*"}) {
		t.Errorf("not set: %q", got)
	}
}

func TestCheckEnv(t *testing.T) {
	for entry, says := range map[string]string{
		"A": "", "_a1": "", "OS_*": "", "A=": "", "A=b=c*": "", "A=line\nline": "",
		"": "no name", "=x": "no name", "1A": "no name", "A B=secret-value": "no name", "A-B": "no name", "*": "no name", "A*=secret-value": "no name",
		"A=secret-value\x00": "value of A has a byte of zero", cookieKey + "=secret-value": cookieKey + " belongs to the manager", "PLUGIN_MIN_PORT": "belongs to the manager",
	} {
		err := CheckEnv(entry)
		if (err == nil) != (says == "") || err != nil && (!strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "secret-value")) {
			t.Errorf("%q: %v", entry, err)
		}
	}
}

func TestSecretsOfTheEnvironment(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gcp.json")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRedactor()
	r.addEnv([]string{
		"AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI", "HCLOUD_API_KEY=/base64+begins/so==", "GOOGLE_APPLICATION_CREDENTIALS=" + file, "AWS_WEB_IDENTITY_TOKEN_FILE=relative/file", "DB_PASS=hunter2-pass",
		"REGION=eu-central-1", "GOOGLE_CREDENTIALS={\"private\": \"zzzyyyxxx\"}",
		"NAS_FILER_PASSWORD=swordfish-9", "VAULT_FILE_TOKEN=hvs.abcdefgh", // not names of files, though _FILE is in them
	})
	text := r.text("with swordfish-9, hvs.abcdefgh, wJalrXUtnFEMI and hunter2-pass in eu-central-1, of " + file + ", relative/file, /base64+begins/so==, {\"private\": \"zzzyyyxxx\"}")
	for _, secret := range []string{"wJalr", "hunter2", "zzzyyy", "base64", "swordfish", "hvs."} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is in %s", secret, text)
		}
	}
	for _, plain := range []string{"eu-central-1", file, "relative/file"} {
		if !strings.Contains(text, plain) {
			t.Errorf("%s is not in %s", plain, text)
		}
	}
}
