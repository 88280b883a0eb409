package connector

import (
	"errors"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// authMethods turns key and password into what SSH can offer, the key first. Names are for messages.
func authMethods(c provider.ConnectorConfig) (methods []ssh.AuthMethod, names []string, err error) {
	if len(c.Key) > 0 {
		signer, err := parseKey(c.Key)
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

// answerWith answers the questions whose answer is hidden with the password: that is how PAM asks for it.
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

// parseKey reads a private key. Errors of the parsers below are not passed on: some quote their input.
func parseKey(pem []byte) (ssh.Signer, error) {
	signer, err := ssh.ParsePrivateKey(pem)
	if err == nil {
		return signer, nil
	}
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		return nil, &KeyError{Reason: "it is encrypted with a passphrase, which nobody can enter here: store it without (ssh-keygen -p)"}
	default:
		return nil, &KeyError{Reason: "it cannot be read: expected one ed25519, ecdsa or rsa key in PEM form (\"-----BEGIN … PRIVATE KEY-----\")"}
	}
}
