package aws

import (
	"crypto/ed25519"
	"crypto/rsa"
	"fmt"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// keyComment names the key of the group in authorized_keys.
const keyComment = "taskscaler"

// login is how the instances let us in.
type login struct {
	fixed bool            // with what the operator set: no key is pushed, and no password is read
	key   plugin.Key      // is pushed to an instance
	rsa   *rsa.PrivateKey // decrypts the passwords of Windows; nil: the operator set none
}

// newLogin checks the operator's key. Without one, it takes the key of the group, which is made once: no job waits for it.
func newLogin(settings provider.Settings) (l login, err error) {
	c := settings.ConnectorConfig
	if c.UseStaticCredentials && c.Password == "" && len(c.Key) == 0 {
		return login{}, provider.Errorf(provider.KindConfig, "connector_config has use_static_credentials, and neither key_path nor a password: set one, or remove it to log in by EC2 Instance Connect")
	}
	if c.UseStaticCredentials || c.Password != "" {
		return login{fixed: true}, nil
	}
	if len(c.Key) > 0 {
		if l.rsa, err = operatorsKey(c.Key); err != nil {
			return login{}, err
		}
	}
	if c.OS == "windows" && l.rsa == nil {
		return login{}, noWindowsKey(c)
	}
	l.key, err = plugin.KeyIn(settings.StateDir, c, keyComment)
	return l, err
}

// operatorsKey returns the key of connector_config if it is an RSA key, and nil if it is an ed25519 key. EC2 Instance Connect takes no others.
func operatorsKey(pem []byte) (*rsa.PrivateKey, error) {
	raw, err := ssh.ParseRawPrivateKey(pem)
	if err != nil {
		return nil, provider.Errorf(provider.KindConfig, "the private key of connector_config cannot be used, set key_path to another one: %w", err)
	}
	switch key := raw.(type) {
	case *rsa.PrivateKey:
		return key, nil
	case *ed25519.PrivateKey, ed25519.PrivateKey:
		return nil, nil
	}
	kind := fmt.Sprintf("%T", raw)
	if signer, err := ssh.NewSignerFromKey(raw); err == nil {
		kind = signer.PublicKey().Type()
	}
	return nil, provider.Errorf(provider.KindConfig, "the private key of connector_config is of type %s, and EC2 Instance Connect takes only RSA and ed25519 keys: "+
		"set key_path to such a key, or switch on use_static_credentials if the image knows this one", kind)
}

// noWindowsKey is the error for machines with Windows whose password cannot be decrypted.
func noWindowsKey(c provider.ConnectorConfig) error {
	if len(c.Key) > 0 {
		return provider.Errorf(provider.KindConfig, "the machines run Windows, and the private key of connector_config is an ed25519 key, for which AWS encrypts no password: "+
			"set key_path to the RSA key of the key pair of the launch template, or set a password")
	}
	return provider.Errorf(provider.KindConfig, "the machines run Windows, and nothing can decrypt their passwords: "+
		"set connector_config.key_path to the RSA key of the key pair of the launch template, or set a password")
}
