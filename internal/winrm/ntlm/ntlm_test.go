package ntlm

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/secret"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The values of MS-NLMP 4.2.4: NTLM version 2, user "User", domain "Domain", password "Password".
var published = Login{Domain: "Domain", User: "User", Password: secret.New("Password")}

func TestPublishedValues(t *testing.T) {
	key := published.hash()
	if want := unhex(t, "0c868a403bfd7a93a3001ef22ef02e3f"); !bytes.Equal(key, want) {
		t.Fatalf("the hash is %x, want %x", key, want)
	}
	theirs, ours := unhex(t, "0123456789abcdef"), unhex(t, "aaaaaaaaaaaaaaaa")
	info := unhex(t, "02000c0044006f006d00610069006e0001000c0053006500720076006500720000000000")
	answer, session := respond(key, theirs, ours, make([]byte, 8), info)
	if want := unhex(t, "68cd0ab851e51c96aabc927bebef6a1c"); !bytes.Equal(answer[:16], want) {
		t.Errorf("the answer begins with %x, want %x", answer[:16], want)
	}
	if want := unhex(t, "8de40ccadbc14a82f15cb0ad0de95ca3"); !bytes.Equal(session, want) {
		t.Errorf("the session's key is %x, want %x", session, want)
	}
	if lm, want := append(mac(key, theirs, ours), ours...), unhex(t, "86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa"); !bytes.Equal(lm, want) {
		t.Errorf("the older answer is %x, want %x", lm, want)
	}
	random := bytes.Repeat([]byte{0x55}, 16)
	wrapped := make([]byte, 16)
	encrypt(session, wrapped, random)
	if want := unhex(t, "c5dad2544fc9799094ce1ce90bc9d03e"); !bytes.Equal(wrapped, want) {
		t.Errorf("the wrapped key is %x, want %x", wrapped, want)
	}
	sealed, signature := newSession(random).Seal(utf16le("Plaintext"))
	if want := unhex(t, "54e50165bf1936dc996020c1811b0f06fb5f"); !bytes.Equal(sealed, want) {
		t.Errorf("sealed %x, want %x", sealed, want)
	}
	if want := unhex(t, "010000007fb38ec5c55d497600000000"); !bytes.Equal(signature, want) {
		t.Errorf("signature %x, want %x", signature, want)
	}
}

// TestSessionsAgree: what one side seals the other unseals, in order. Anything else is refused.
func TestSessionsAgree(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 16)
	client, server := newSession(key), newSessionFor(key, "server-to-client", "client-to-server")
	for i := range 50 {
		message := bytes.Repeat([]byte{byte(i)}, i*100)
		for _, way := range [][2]*Session{{client, server}, {server, client}} {
			sealed, signature := way[0].Seal(message)
			if got, err := way[1].Unseal(sealed, signature); err != nil || !bytes.Equal(got, message) {
				t.Fatalf("message %d: %v", i, err)
			}
		}
	}
	sealed, signature := server.Seal([]byte("one"))
	sealed[0] ^= 1
	if _, err := client.Unseal(sealed, signature); !errors.Is(err, ErrSignature) {
		t.Errorf("a changed message: %v", err)
	}
}

// challengeWith returns a challenge with these flags and attributes.
func challengeWith(flags uint32, info []byte) []byte {
	m := append(bytes.Clone(signature), 2, 0, 0, 0)
	m = append(m, make([]byte, 8)...)
	m = append(m, byte(flags), byte(flags>>8), byte(flags>>16), byte(flags>>24))
	m = append(m, make([]byte, 16)...)
	m = append(m, byte(len(info)), byte(len(info)>>8), byte(len(info)), byte(len(info)>>8), 48, 0, 0, 0)
	return append(m, info...)
}

func TestChallengesThatAreRefused(t *testing.T) {
	good := challengeWith(required, marshalPairs([]pair{{pairTime, make([]byte, 8)}}))
	login := func(m []byte) error {
		_, _, err := published.Authenticate(Negotiate(), m, "host", nil, time.Now(), bytes.NewReader(make([]byte, 64)))
		return err
	}
	if err := login(good); err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string][]byte{
		"empty": nil, "short": good[:40], "another message": append(bytes.Clone(signature), make([]byte, 60)...),
		"attributes without an end": good[:len(good)-2], "no sealing": challengeWith(required&^flagSeal, []byte{0, 0, 0, 0}),
		"no version 2 session": challengeWith(required&^flagExtendedSession, []byte{0, 0, 0, 0}), "no attributes": challengeWith(required, nil),
		"56 bits": challengeWith(required&^flag128, []byte{0, 0, 0, 0}),
	} {
		if err := login(m); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, _, err := published.Authenticate(Negotiate(), good, "host", nil, time.Now(), bytes.NewReader(nil)); err == nil {
		t.Error("a login without random numbers")
	}
}

func TestParseUser(t *testing.T) {
	for name, want := range map[string][2]string{"me": {"", "me"}, `CORP\me`: {"CORP", "me"}, "me@corp.example": {"", "me@corp.example"}, `.\me`: {".", "me"}} {
		if d, u := ParseUser(name); d != want[0] || u != want[1] {
			t.Errorf("%s: %q, %q", name, d, u)
		}
	}
}

// FuzzChallenge: no answer of a server makes the client panic, or makes it answer to less than it requires.
func FuzzChallenge(f *testing.F) {
	f.Add(challengeWith(required, marshalPairs([]pair{{pairTime, make([]byte, 8)}, {1, []byte("x")}})))
	f.Add(challengeWith(required, []byte{0, 0, 0, 0}))
	f.Add(challengeWith(0, nil))
	f.Fuzz(func(t *testing.T, m []byte) {
		out, session, err := published.Authenticate(Negotiate(), m, "host", BindTo([]byte("hash")), time.Unix(0, 0), bytes.NewReader(make([]byte, 64)))
		if (err == nil) != (session != nil) || err == nil && len(out) < 88 {
			t.Errorf("%d bytes, %v", len(out), err)
		}
	})
}
