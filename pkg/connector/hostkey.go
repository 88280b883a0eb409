package connector

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

// hostKeys decides about the host keys of one machine, over all attempts to connect to it.
type hostKeys struct {
	address  string
	pin      func(string) error
	insecure bool

	mu     sync.Mutex
	pinned []ssh.PublicKey
}

func newHostKeys(address string, known []string, opts DialOptions) (*hostKeys, error) {
	h := &hostKeys{address: address, pin: opts.PinHostKey, insecure: opts.Insecure}
	for i, line := range known {
		key, err := parseHostKey(line)
		if err != nil {
			return nil, fmt.Errorf("host key %d of %s: %w", i+1, address, err)
		}
		h.pinned = append(h.pinned, key)
	}
	if len(h.pinned) == 0 && h.pin == nil && !h.insecure {
		return nil, ErrUnpinned
	}
	return h, nil
}

func parseHostKey(line string) (ssh.PublicKey, error) {
	key, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return nil, fmt.Errorf("not in authorized_keys form (\"ssh-ed25519 AAAA…\"): %w", err)
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("more than one key in one entry: give each its own")
	}
	return key, nil
}

// algorithms are the host key algorithms to offer: those of the pinned keys, because a server with several keys would otherwise
// present the one of its own taste; all sound ones, ed25519 first, where nothing is pinned.
func (h *hostKeys) algorithms() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.pinned) == 0 {
		return []string{
			ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256,
		}
	}
	var algos []string
	for _, k := range h.pinned {
		add := []string{k.Type()}
		if k.Type() == ssh.KeyAlgoRSA {
			add = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
		}
		for _, a := range add {
			if !slices.Contains(algos, a) {
				algos = append(algos, a)
			}
		}
	}
	return algos
}

// check is an ssh.HostKeyCallback; the key has proven itself by a signature before it is called.
func (h *hostKeys) check(_ string, _ net.Addr, key ssh.PublicKey) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.pinned) > 0 {
		for _, p := range h.pinned {
			if p.Type() == key.Type() && bytes.Equal(p.Marshal(), key.Marshal()) {
				return nil
			}
		}
		return h.mismatch(fingerprint(key))
	}
	if h.pin != nil {
		line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
		if err := h.pin(line); err != nil {
			return &pinError{err}
		}
	}
	h.pinned = []ssh.PublicKey{key} // within one Dial even an unchecked machine must stay the same one
	return nil
}

// negotiation turns the failure to agree on a host key algorithm into what it means for a pinned key.
func (h *hostKeys) negotiation(err error) error {
	var neg *ssh.AlgorithmNegotiationError
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.pinned) == 0 || !errors.As(err, &neg) || neg.What != "host key" {
		return nil
	}
	return h.mismatch("only keys of type " + strings.Join(neg.RequestedAlgorithms, ", "))
}

func (h *hostKeys) mismatch(presented string) error {
	e := &HostKeyError{Address: h.address, Presented: presented}
	for _, p := range h.pinned {
		e.Pinned = append(e.Pinned, fingerprint(p))
	}
	return e
}

// pinError is the caller's refusal of a key: final.
type pinError struct{ err error }

func (e *pinError) Error() string { return "host key was not accepted: " + e.err.Error() }
func (e *pinError) Unwrap() error { return e.err }
