package gcetest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // Google's agent uses it
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"strings"
	"time"
)

// windowsKey is a line of the metadata windows-keys: somebody wants a new password of a user, encrypted with this public key.
type windowsKey struct {
	UserName string `json:"userName"`
	Modulus  string `json:"modulus"`
	Exponent string `json:"exponent"`
	ExpireOn string `json:"expireOn"`
}

// newPassword is a line that the agent writes to the serial port 4.
type newPassword struct {
	UserName          string `json:"userName"`
	Modulus           string `json:"modulus"`
	Exponent          string `json:"exponent"`
	PasswordFound     bool   `json:"passwordFound"`
	EncryptedPassword string `json:"encryptedPassword,omitempty"`
	ErrorMessage      string `json:"errorMessage,omitempty"`
}

// passwordPort is the serial port on which the agent answers.
const passwordPort = 4

// setPasswords is what the agent of Windows does with the metadata windows-keys.
func (in *instance) setPasswords() {
	if in.image == nil || !in.image.Windows || in.status != running {
		return
	}
	for line := range strings.Lines(value(in.metadata, "windows-keys")) {
		line = strings.TrimSpace(line)
		var k windowsKey
		if line == "" || in.answered[line] || json.Unmarshal([]byte(line), &k) != nil {
			continue
		}
		if end, err := time.Parse(time.RFC3339, k.ExpireOn); err != nil || !in.server.now().Before(end) {
			continue
		}
		in.answered[line] = true
		text, err := json.Marshal(in.setPassword(k))
		if err != nil {
			panic(err) // of texts only
		}
		in.serial[passwordPort] += string(text) + "\n"
	}
}

// setPassword gives a user a new password.
func (in *instance) setPassword(k windowsKey) newPassword {
	answer := newPassword{UserName: k.UserName, Modulus: k.Modulus, Exponent: k.Exponent}
	modulus, err1 := base64.StdEncoding.DecodeString(k.Modulus)
	exponent, err2 := base64.StdEncoding.DecodeString(k.Exponent)
	if err1 != nil || err2 != nil || len(modulus) == 0 || len(exponent) == 0 {
		answer.ErrorMessage = "the modulus or the exponent is not in base64"
		return answer
	}
	public := &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: int(new(big.Int).SetBytes(exponent).Int64())}
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	password := "Pw-" + hex.EncodeToString(b[:])
	encrypted, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, public, []byte(password), nil) //nolint:gosec // as Google's agent does
	if err != nil {
		answer.ErrorMessage = err.Error()
		return answer
	}
	in.passwords[k.UserName] = password
	answer.PasswordFound, answer.EncryptedPassword = true, base64.StdEncoding.EncodeToString(encrypted)
	return answer
}

// Password returns the password of a user of a Windows instance, or "" if nobody asked for one.
func (s *Server) Password(zone, name, user string) (text string, err error) {
	err = s.change(zone, name, func(in *instance, _ time.Duration) error {
		text = in.passwords[user]
		return nil
	})
	return text, err
}
