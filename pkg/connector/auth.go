package connector

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// authMethods returns the SSH authentication methods for key and password, the key first, and their names for messages.
func authMethods(c provider.ConnectorConfig, legacy bool) (methods []ssh.AuthMethod, names []string, err error) {
	if len(c.Key) > 0 {
		signer, err := parseKey(c.Key, legacy)
		if err != nil {
			return nil, nil, err
		}
		methods, names = append(methods, ssh.PublicKeys(signer)), append(names, "publickey")
	}
	if c.Password != "" {
		methods, names = append(methods, ssh.Password(c.Password), ssh.KeyboardInteractive(answerWith(c.Password))), append(names, "password")
	}
	return methods, names, nil
}

// answerWith answers each question with hidden input with the password. PAM asks for the password this way.
func answerWith(password string) ssh.KeyboardInteractiveChallenge {
	return func(_, _ string, questions []string, echos []bool) ([]string, error) {
		answers := make([]string, len(questions))
		for i := range questions {
			if !echos[i] {
				answers[i] = password
			}
		}
		return answers, nil
	}
}

// CheckKey returns a *KeyError if no server can be logged in to with this private key, in PEM form and without a passphrase (see DecryptKey), and these options.
func CheckKey(key []byte, opts DialOptions) error {
	_, err := parseKey(key, allowedBy(opts).legacy)
	return err
}

// parseKey parses a private key. It does not pass on the parser's error, which may quote the key.
func parseKey(pem []byte, legacy bool) (ssh.Signer, error) {
	signer, err := ssh.ParsePrivateKey(pem)
	var locked *ssh.PassphraseMissingError
	switch {
	case err == nil && legacy:
		return signer, nil
	case err == nil:
		if bits := shortRSA(signer.PublicKey()); bits > 0 {
			return nil, &KeyError{Reason: fmt.Sprintf("it is an RSA key of %d bits, which is no longer secure: use an ed25519 key, or an RSA key of at least "+
				"%d bits, or set allow_legacy_ssh = true", bits, minRSA)}
		}
		return withoutSHA1(signer)
	case errors.As(err, &locked):
		return nil, &KeyError{Reason: lockedReason}
	default:
		return nil, &KeyError{Reason: "it cannot be read: expected one ed25519, ecdsa or rsa key in PEM form (\"-----BEGIN … PRIVATE KEY-----\")"}
	}
}
