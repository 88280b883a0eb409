package ntlm

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rc4"
	"encoding/binary"
	"errors"
)

// Session seals the messages of one connection after its login. Each message depends on the ones before it, in both directions, so a Session
// belongs to one connection and is not safe for concurrent use.
type Session struct{ out, in side }

// side is one direction.
type side struct {
	sign   []byte
	seal   *rc4.Cipher
	number uint32
}

// SignatureSize is the length of the signature of a sealed message.
const SignatureSize = 16

// ErrSignature means that a message is not what the server sealed, or not in its order.
var ErrSignature = errors.New("the signature of a sealed NTLM message is wrong")

func newSession(key []byte) *Session {
	return newSessionFor(key, "client-to-server", "server-to-client")
}

func newSessionFor(key []byte, out, in string) *Session {
	return &Session{newSide(key, out), newSide(key, in)}
}

func newSide(key []byte, direction string) side {
	derive := func(purpose string) []byte {
		sum := md5.Sum(append(key[:len(key):len(key)], "session key to "+direction+" "+purpose+" key magic constant\x00"...))
		return sum[:]
	}
	seal, err := rc4.NewCipher(derive("sealing"))
	if err != nil {
		panic(err) // a key of 16 bytes
	}
	return side{sign: derive("signing"), seal: seal}
}

// Seal encrypts the next message to the server.
func (s *Session) Seal(message []byte) (sealed, signature []byte) {
	sealed = make([]byte, len(message))
	s.out.seal.XORKeyStream(sealed, message)
	return sealed, s.out.signature(message)
}

// Unseal decrypts the next message of the server. After an error the session cannot be used any more.
func (s *Session) Unseal(sealed, signature []byte) ([]byte, error) {
	message := make([]byte, len(sealed))
	s.in.seal.XORKeyStream(message, sealed)
	if !hmac.Equal(s.in.signature(message), signature) {
		return nil, ErrSignature
	}
	return message, nil
}

func (s *side) signature(message []byte) []byte {
	number := binary.LittleEndian.AppendUint32(nil, s.number)
	s.number++
	sum := mac(s.sign, number, message)[:8]
	s.seal.XORKeyStream(sum, sum)
	return append(append([]byte{1, 0, 0, 0}, sum...), number...)
}
