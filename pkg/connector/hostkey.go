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

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// hostKeys verifies the host keys of one instance, for all attempts to connect to it.
type hostKeys struct {
	address  string
	pin      func(string) error
	insecure bool
	also     allowed

	mu      sync.Mutex
	pinned  []ssh.PublicKey
	offered ssh.PublicKey // what this attempt saw, before its login; nil: nothing yet
}

func newHostKeys(address string, known []string, opts DialOptions) (*hostKeys, error) {
	h := &hostKeys{address: address, pin: opts.PinHostKey, insecure: opts.Insecure, also: allowedBy(opts)}
	for i, line := range known {
		if strings.HasPrefix(line, certificatePrefix) {
			continue // of WinRM's certificate
		}
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

// CheckHostKey returns the protocol that an entry of ConnectInfo.HostKeys is for: ProtocolSSH or ProtocolWinRMHTTPS. It returns an error if the entry has
// neither form.
func CheckHostKey(line string) (provider.Protocol, error) {
	if strings.HasPrefix(line, certificatePrefix) {
		_, err := parseCertificate(line)
		return provider.ProtocolWinRMHTTPS, err
	}
	_, err := parseHostKey(line)
	return provider.ProtocolSSH, err
}

func parseHostKey(line string) (ssh.PublicKey, error) {
	key, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return nil, fmt.Errorf("not in authorized_keys form (\"ssh-ed25519 AAAA…\"): %w", err)
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("one entry holds more than one key: use one entry for each key")
	}
	return key, nil
}

// known reports whether a host key is pinned.
func (h *hostKeys) known() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.pinned) > 0
}

// algorithms returns the host key algorithms to offer. If keys are pinned, these are their algorithms, because a server with several keys
// could otherwise present another key. If none is pinned, these are all secure ones, ed25519 first.
func (h *hostKeys) algorithms() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.pinned) == 0 {
		return append([]string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521}, h.ofRSA()...)
	}
	var algos []string
	for _, k := range h.pinned {
		add := []string{k.Type()}
		if k.Type() == ssh.KeyAlgoRSA {
			add = h.ofRSA()
		}
		for _, a := range add {
			if !slices.Contains(algos, a) {
				algos = append(algos, a)
			}
		}
	}
	return algos
}

// ofRSA returns the signature algorithms to offer for RSA keys.
func (h *hostKeys) ofRSA() []string {
	algos := []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	if h.also.legacy {
		algos = append(algos, legacyHostKeys...)
	}
	return algos
}

// check is an ssh.HostKeyCallback. Before it is called, the server has proved with a signature that it owns the key.
func (h *hostKeys) check(_ string, _ net.Addr, key ssh.PublicKey) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if bits := shortRSA(key); bits > 0 && !h.also.legacy {
		return &LegacyError{Address: h.address, Offers: fmt.Sprintf("an RSA host key of %d bits", bits)}
	}
	known := h.pinned
	if len(known) == 0 && h.offered != nil { // a second key exchange on the same connection
		known = []ssh.PublicKey{h.offered}
	}
	if len(known) > 0 {
		for _, p := range known {
			if p.Type() == key.Type() && bytes.Equal(p.Marshal(), key.Marshal()) {
				return nil
			}
		}
		return h.mismatch(fingerprint(key), known)
	}
	if h.pin != nil {
		line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
		if err := h.pin(line); err != nil {
			return &pinError{err}
		}
	}
	h.offered = key
	return nil
}

// begin starts an attempt. What an earlier attempt saw, whose login was refused, does not bind it: the first boot of an instance may replace
// the host key.
func (h *hostKeys) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.offered = nil
}

// settle ends an attempt whose login was accepted. From now on the key must not change, even if Insecure is set.
func (h *hostKeys) settle() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.pinned) == 0 && h.offered != nil {
		h.pinned = []ssh.PublicKey{h.offered}
	}
}

// negotiation returns a LegacyError if err says that the server has only outdated algorithms, a HostKeyError if it has no key of a pinned type,
// else nil.
func (h *hostKeys) negotiation(err error) error {
	var neg *ssh.AlgorithmNegotiationError
	h.mu.Lock()
	defer h.mu.Unlock()
	if !errors.As(err, &neg) {
		return nil
	}
	ofRSA := func(key ssh.PublicKey) bool { return key.Type() == ssh.KeyAlgoRSA }
	if len(h.pinned) == 0 || neg.What != "host key" || slices.ContainsFunc(h.pinned, ofRSA) {
		if old := legacyOf(h.address, neg, h.also); old != nil {
			return old
		}
	}
	if len(h.pinned) == 0 || neg.What != "host key" {
		return nil
	}
	return h.mismatch("only keys of type "+strings.Join(neg.RequestedAlgorithms, ", "), h.pinned)
}

func (h *hostKeys) mismatch(presented string, known []ssh.PublicKey) error {
	e := &HostKeyError{Address: h.address, Presented: presented}
	for _, p := range known {
		e.Pinned = append(e.Pinned, fingerprint(p))
	}
	return e
}

// pinError is the caller's refusal of a key. It is not retried.
type pinError struct{ err error }

func (e *pinError) Error() string { return "host key was not accepted: " + e.err.Error() }
func (e *pinError) Unwrap() error { return e.err }
