package ntlm

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rc4"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/crypto/md4" //nolint:staticcheck // NTLM is defined with MD4

	"github.com/taskscaler/taskscaler/pkg/secret"
)

// Login is what the client proves that it knows.
type Login struct {
	Domain   string // may be empty: an account of the machine
	User     string
	Password secret.Text
}

// ParseUser splits a user name of one of the forms user, DOMAIN\user and user@domain. In the last form the whole name stays the user, because the
// server looks up its domain.
func ParseUser(name string) (domain, user string) {
	if d, u, ok := strings.Cut(name, `\`); ok {
		return d, u
	}
	return "", name
}

// Binding ties a login to one TLS connection (RFC 5929, tls-server-end-point). Nil: the connection has no TLS.
type Binding []byte

// BindTo returns the binding for a certificate with this hash.
func BindTo(hash []byte) Binding {
	data := append([]byte("tls-server-end-point:"), hash...)
	b := make([]byte, 16, 20+len(data)) // no addresses
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	sum := md5.Sum(append(b, data...))
	return sum[:]
}

// maxField is the longest part of a message: its length has 16 bits.
const maxField = 1<<16 - 1

// Authenticate returns the third message: the answer to the server's challenge. negotiate is the first message. host is the name or address of the
// server that the client means. random is crypto/rand.Reader.
func (l Login) Authenticate(negotiate, challengeMessage []byte, host string, binding Binding, now time.Time, random io.Reader) ([]byte, *Session, error) {
	c, err := parseChallenge(challengeMessage)
	if err != nil {
		return nil, nil, err
	}
	own := make([]byte, 8+16)
	if _, err := io.ReadFull(random, own); err != nil {
		return nil, nil, fmt.Errorf("no random numbers for NTLM: %w", err)
	}
	nonce, exported := own[:8], own[8:]

	info, stamp := c.info, find(c.info, pairTime)
	sealed := len(stamp) == 8 // the server gave its time: then it checks the integrity of all three messages
	if sealed {
		flags := make([]byte, 4)
		copy(flags, find(info, pairFlags))
		flags[0] |= hasMIC
		info = set(info, pairFlags, flags)
	} else {
		stamp = fileTime(now)
	}
	if binding != nil {
		info = set(info, pairBindings, binding)
	}
	info = set(info, pairTarget, utf16le("HTTP/"+host))

	key := l.hash()
	answer, base := respond(key, c.nonce, nonce, stamp, marshalPairs(info))
	lm := make([]byte, 24)
	if !sealed {
		lm = append(mac(key, c.nonce, nonce), nonce...)
	}
	wrapped := make([]byte, 16)
	encrypt(base, wrapped, exported)
	fields := [6][]byte{lm, answer, utf16le(l.Domain), utf16le(l.User), nil, wrapped}
	for _, f := range fields {
		if len(f) > maxField {
			return nil, nil, fmt.Errorf("a field of the NTLM login has %d bytes, and at most %d can be sent: use a shorter username", len(f), maxField)
		}
	}
	m := authenticate(c.flags&offered, fields)
	if sealed {
		copy(m[micAt:], mac(exported, negotiate, c.raw, m))
	}
	return m, newSession(exported), nil
}

// hash is what the server keeps instead of the password, for this user and domain (NTOWFv2).
func (l Login) hash() []byte {
	h := md4.New()
	_, _ = h.Write(utf16le(l.Password.Reveal()))
	return mac(h.Sum(nil), utf16le(strings.ToUpper(l.User)+l.Domain))
}

// respond returns the answer to a challenge and the key that follows from it (MS-NLMP 3.3.2).
func respond(key, theirs, ours, stamp, info []byte) (answer, session []byte) {
	temp := append([]byte{1, 1, 0, 0, 0, 0, 0, 0}, stamp...)
	temp = append(append(append(append(temp, ours...), 0, 0, 0, 0), info...), 0, 0, 0, 0)
	proof := mac(key, theirs, temp)
	return append(bytes.Clone(proof), temp...), mac(key, proof)
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(md5.New, key)
	for _, p := range parts {
		_, _ = h.Write(p)
	}
	return h.Sum(nil)
}

// encrypt applies RC4 with a key of 16 bytes, which RC4 always takes.
func encrypt(key, to, from []byte) {
	c, err := rc4.NewCipher(key)
	if err != nil {
		panic(err)
	}
	c.XORKeyStream(to, from)
}

// fileTime is the time in 100 ns since 1601.
func fileTime(t time.Time) []byte {
	const until1970 = 116444736000000000
	return binary.LittleEndian.AppendUint64(nil, uint64(t.UnixNano()/100+until1970))
}
