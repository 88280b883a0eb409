package winrm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/taskscaler/taskscaler/internal/winrm/ntlm"
)

// The form of sealed messages (MS-WSMV 2.2.9.1).
const (
	boundary     = "--Encrypted Boundary"
	sealedType   = "application/HTTP-SPNEGO-session-encrypted"
	sealedHeader = `multipart/encrypted;protocol="` + sealedType + `";boundary="Encrypted Boundary"`
	plainHeader  = "application/soap+xml;charset=UTF-8"
)

func seal(s *ntlm.Session, text []byte) []byte {
	sealed, signature := s.Seal(text)
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\r\n\tContent-Type: %s\r\n\tOriginalContent: type=%s;Length=%d\r\n", boundary, sealedType, plainHeader, len(text))
	fmt.Fprintf(&b, "%s\r\n\tContent-Type: application/octet-stream\r\n", boundary)
	b.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(signature))))
	b.Write(signature)
	b.Write(sealed)
	b.WriteString(boundary + "--\r\n")
	return b.Bytes()
}

func unseal(s *ntlm.Session, body []byte) ([]byte, error) {
	sealed, signature, err := splitSealed(body)
	if err != nil {
		return nil, err
	}
	return s.Unseal(sealed, signature)
}

// splitSealed takes a sealed message apart. Its length is in its head, so bytes that look like a boundary do not matter.
func splitSealed(body []byte) (sealed, signature []byte, err error) {
	bad := fmt.Errorf("%w: a sealed message cannot be taken apart", ErrAnswer)
	length, boundaries := -1, 0
	for {
		line, rest, ok := bytes.Cut(body, []byte("\r\n"))
		if !ok || len(line) > 512 {
			return nil, nil, bad
		}
		body = rest
		switch {
		case isBoundary(line):
			boundaries++
			continue
		case boundaries == 1:
			if _, text, ok := bytes.Cut(line, []byte("Length=")); ok {
				if length, err = strconv.Atoi(string(bytes.TrimSpace(text))); err != nil {
					return nil, nil, bad
				}
			}
			continue
		case boundaries != 2:
			return nil, nil, bad
		}
		break // the only header of the second part
	}
	const head = 4 + ntlm.SignatureSize
	if length < 0 || len(body) < head || binary.LittleEndian.Uint32(body) != ntlm.SignatureSize || len(body)-head < length {
		return nil, nil, bad
	}
	end, ok := bytes.CutSuffix(bytes.TrimSuffix(body[head+length:], []byte("\r\n")), []byte("--"))
	if !ok || !isBoundary(end) {
		return nil, nil, bad
	}
	return body[head : head+length], body[4:head], nil
}

// isBoundary accepts a space after the dashes: some servers send one.
func isBoundary(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("--"))
	return ok && string(bytes.TrimSpace(rest)) == boundary[2:]
}
