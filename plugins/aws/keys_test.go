package aws

import (
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

func TestKeysOfTheOperator(t *testing.T) {
	windows := func(c provider.ConnectorConfig) provider.ConnectorConfig { c.OS = "windows"; return c }
	key := func(pem []byte) provider.ConnectorConfig { return provider.ConnectorConfig{Key: pem} }
	for name, c := range map[string]struct {
		set   provider.ConnectorConfig
		fault string // "": none
		rsa   bool
	}{
		"RSA, PKCS#1":         {key(pkcs1(rsaKey())), "", true},
		"RSA, PKCS#8":         {key(pkcs8(t, rsaKey())), "", true},
		"RSA, OpenSSH":        {key(openSSH(t, rsaKey())), "", true},
		"ed25519":             {key(openSSH(t, edKey())), "", false},
		"ed25519, PKCS#8":     {key(pkcs8(t, edKey())), "", false},
		"ECDSA":               {key(openSSH(t, ecKey())), "of type ecdsa-sha2-nistp256, and EC2 Instance Connect takes only RSA and ed25519 keys: set key_path", false},
		"garbage":             {key([]byte("hunter2")), "cannot be used, set key_path to another one", false},
		"windows, none":       {windows(key(nil)), "nothing can decrypt their passwords: set connector_config.key_path", false},
		"windows, ed25519":    {windows(key(openSSH(t, edKey()))), "is an ed25519 key, for which AWS encrypts no password: set key_path", false},
		"windows, RSA":        {windows(key(pkcs1(rsaKey()))), "", true},
		"windows, a password": {windows(provider.ConnectorConfig{Password: "hunter2"}), "", false},
		"windows, static":     {windows(provider.ConnectorConfig{UseStaticCredentials: true, Key: openSSH(t, edKey())}), "", false},
		"static, nothing":     {provider.ConnectorConfig{UseStaticCredentials: true}, "has use_static_credentials, and neither key_path nor a password", false},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := newLogin(provider.Settings{ConnectorConfig: c.set})
			fixed := strings.HasSuffix(name, "password") || strings.HasSuffix(name, "static")
			if c.fault == "" {
				if err != nil || (l.rsa != nil) != c.rsa || l.fixed != fixed || fixed != l.key.Private.Empty() {
					t.Errorf("fixed %v, RSA %v, %v", l.fixed, l.rsa != nil, err)
				}
				return
			}
			if provider.KindOf(err) != provider.KindConfig || !strings.Contains(err.Error(), c.fault) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestKeyOfTheGroupIsKept(t *testing.T) {
	s := provider.Settings{StateDir: t.TempDir()}
	one, err := newLogin(s)
	two, again := newLogin(s)
	if err != nil || again != nil || one.key.Public != two.key.Public || !strings.HasPrefix(one.key.Public, "ssh-ed25519 ") {
		t.Errorf("%q and %q, %v, %v", one.key.Public, two.key.Public, err, again)
	}
}
