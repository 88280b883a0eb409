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
	comment = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, comment))
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
	text := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(line)))
	if comment != "" {
		text += " " + comment
	}
	return Key{Public: text, Private: secret.New(string(pem.EncodeToMemory(block)))}, nil
}

// Use sets the private half in c, unless the operator has set a password or a key, or wants only what they have set. It reports whether it did.
func (k Key) Use(c *provider.ConnectorConfig) bool {
	if c.UseStaticCredentials || c.Password != "" || len(c.Key) > 0 || k.Private.Empty() {
		return false
	}
	c.Key = []byte(k.Private.Reveal())
	return true
}
