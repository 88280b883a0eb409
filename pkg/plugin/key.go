package plugin

import (
	"crypto/ed25519"
	"encoding/pem"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// Key is an SSH key of type ed25519 for one instance. Make it when you create the instance, give its Public half to the machine (for example in
// the user data of its first boot), and keep the Private half until the instance is gone. If your provider installs keys on a running machine, make
// a new one for each ConnectInfo and set ConnectInfo.Expires.
type Key struct {
	Public  string      // a line of authorized_keys, without its end
	Private secret.Text // the private key in OpenSSH's PEM form
}

// NewKey makes a key. comment names it in authorized_keys; control characters in it become spaces. It takes well below a millisecond, unlike a new
// RSA key, which takes up to seconds: never make one while a job waits.
func NewKey(comment string) (Key, error) {
	comment = inOneLine(comment)
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return Key{}, err
	}
	line, err := ssh.NewPublicKey(public)
	if err != nil {
		return Key{}, err
	}
	block, err := ssh.MarshalPrivateKey(private, comment)
	if err != nil {
		return Key{}, err
	}
	return Key{Public: authorized(line, comment), Private: secret.New(string(pem.EncodeToMemory(block)))}, nil
}

// KeyFor returns the key for a new instance, whose Public half the plugin gives to the machine: the operator's key if connector_config has one, an empty Key
// if the operator set a password or use_static_credentials without a key, because then the image knows the login, and else a new key. comment names the key
// in authorized_keys. A key of the operator that cannot be used is an error of KindConfig, so call KeyFor once in Init.
func KeyFor(c provider.ConnectorConfig, comment string) (Key, error) {
	switch {
	case len(c.Key) > 0:
		signer, err := ssh.ParsePrivateKey(c.Key)
		if err != nil {
			return Key{}, provider.Errorf(provider.KindConfig, "the private key of connector_config cannot be used, set key_path to another one: %w", err)
		}
		return Key{Public: authorized(signer.PublicKey(), inOneLine(comment)), Private: secret.New(string(c.Key))}, nil
	case c.Password != "", c.UseStaticCredentials:
		return Key{}, nil
	}
	return NewKey(comment)
}

// authorized returns the line of authorized_keys.
func authorized(key ssh.PublicKey, comment string) string {
	return strings.TrimSpace(strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))) + " " + comment)
}

// inOneLine returns a comment of one line.
func inOneLine(comment string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, comment))
}

// Use sets the private half in c, unless the operator has set a password or a key, or wants only what they have set. It reports whether it did.
func (k Key) Use(c *provider.ConnectorConfig) bool {
	if c.UseStaticCredentials || c.Password != "" || len(c.Key) > 0 || k.Private.Empty() {
		return false
	}
	c.Key = []byte(k.Private.Reveal())
	return true
}
