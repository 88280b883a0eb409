package ntlm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf16"
)

var signature = []byte("NTLMSSP\x00")

// The flags that this client uses (MS-NLMP 2.2.2.5).
const (
	flagUnicode         = 1 << 0
	flagRequestTarget   = 1 << 2
	flagSign            = 1 << 4
	flagSeal            = 1 << 5
	flagNTLM            = 1 << 9
	flagAlwaysSign      = 1 << 15
	flagExtendedSession = 1 << 19
	flagTargetInfo      = 1 << 23
	flagVersion         = 1 << 25
	flag128             = 1 << 29
	flagKeyExchange     = 1 << 30

	// offered is what the client offers, and required what the server must agree to: less would be a weaker session.
	offered = flagUnicode | flagRequestTarget | flagSign | flagSeal | flagNTLM | flagAlwaysSign | flagExtendedSession | flagTargetInfo | flagVersion |
		flag128 | flagKeyExchange
	required = flagUnicode | flagSign | flagSeal | flagExtendedSession | flagTargetInfo | flag128 | flagKeyExchange
)

// version is what the client says of itself: Windows 10, revision 15 of NTLMSSP. Servers only log it.
var version = []byte{10, 0, 0, 0, 0, 0, 0, 15}

// Negotiate returns the first message.
func Negotiate() []byte {
	m := append(bytes.Clone(signature), 1, 0, 0, 0)
	m = binary.LittleEndian.AppendUint32(m, offered)
	m = append(m, make([]byte, 16)...) // no domain and no workstation
	return append(m, version...)
}

// challenge is the server's answer to the first message.
type challenge struct {
	raw   []byte
	flags uint32
	nonce []byte // 8 bytes
	info  []pair
}

var errChallenge = errors.New("the server's NTLM challenge cannot be read")

func parseChallenge(raw []byte) (*challenge, error) {
	if len(raw) < 48 || !bytes.HasPrefix(raw, signature) || binary.LittleEndian.Uint32(raw[8:]) != 2 {
		return nil, errChallenge
	}
	c := &challenge{raw: raw, flags: binary.LittleEndian.Uint32(raw[20:]), nonce: raw[24:32]}
	if missing := uint32(required) &^ c.flags; missing != 0 {
		return nil, fmt.Errorf("the server does not agree to NTLM version 2 with sealed messages (flags %#x are missing)", missing)
	}
	info, err := field(raw, 40)
	if err != nil {
		return nil, err
	}
	if c.info, err = parsePairs(info); err != nil {
		return nil, err
	}
	return c, nil
}

// field returns the bytes that the 8 bytes at a place in the message's head point to: length, space, offset.
func field(raw []byte, at int) ([]byte, error) {
	length, offset := int(binary.LittleEndian.Uint16(raw[at:])), int64(binary.LittleEndian.Uint32(raw[at+4:]))
	if length == 0 {
		return nil, nil
	}
	if offset+int64(length) > int64(len(raw)) {
		return nil, errChallenge
	}
	return raw[offset : offset+int64(length)], nil
}

// The kinds of pairs that are used (MS-NLMP 2.2.2.1).
const (
	pairEnd      = 0
	pairFlags    = 6
	pairTime     = 7
	pairTarget   = 9
	pairBindings = 10

	hasMIC = 2 // in the flags
)

// pair is one of the attributes that the server says of itself.
type pair struct {
	id    uint16
	value []byte
}

func parsePairs(b []byte) (list []pair, err error) {
	for len(b) >= 4 {
		id, n := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		if b = b[4:]; id == pairEnd {
			return list, nil
		}
		if n > len(b) {
			return nil, errChallenge
		}
		list, b = append(list, pair{id, b[:n]}), b[n:]
	}
	return nil, errChallenge
}

func find(list []pair, id uint16) []byte {
	for _, p := range list {
		if p.id == id {
			return p.value
		}
	}
	return nil
}

// set returns list with one value for id.
func set(list []pair, id uint16, value []byte) []pair {
	var kept []pair
	for _, p := range list {
		if p.id != id {
			kept = append(kept, p)
		}
	}
	return append(kept, pair{id, value})
}

func marshalPairs(list []pair) (b []byte) {
	for _, p := range append(list[:len(list):len(list)], pair{id: pairEnd}) {
		b = binary.LittleEndian.AppendUint16(b, p.id)
		b = binary.LittleEndian.AppendUint16(b, uint16(len(p.value)))
		b = append(b, p.value...)
	}
	return b
}

// micAt is where the third message has its integrity code.
const micAt = 72

// authenticate returns the third message, with room for the integrity code. The fields are in the order of MS-NLMP 2.2.1.3.
func authenticate(flags uint32, fields [6][]byte) []byte {
	const head = 88
	m := append(bytes.Clone(signature), 3, 0, 0, 0)
	offset := uint32(head)
	for _, f := range fields {
		m = binary.LittleEndian.AppendUint16(m, uint16(len(f)))
		m = binary.LittleEndian.AppendUint16(m, uint16(len(f)))
		m = binary.LittleEndian.AppendUint32(m, offset)
		offset += uint32(len(f))
	}
	m = binary.LittleEndian.AppendUint32(m, flags)
	m = append(m, version...)
	m = append(m, make([]byte, 16)...)
	for _, f := range fields {
		m = append(m, f...)
	}
	return m
}

// utf16le encodes text as NTLM does.
func utf16le(s string) (b []byte) {
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}
