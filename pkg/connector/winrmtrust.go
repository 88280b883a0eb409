package connector

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
)

// certificatePrefix begins an entry of ConnectInfo.HostKeys that is a certificate of winrm+https. The SHA-256 of the certificate follows, in hex.
const certificatePrefix = "x509-sha256 "

// certificates verifies the certificate of one instance, for all connections to it.
type certificates struct {
	address  string
	host     string
	roots    *x509.CertPool // of WinRMOptions.CA; nil: none
	pin      func(string) error
	insecure bool

	mu      sync.Mutex
	pinned  []string
	offered string // what this attempt saw before its login; empty: nothing yet
}

func newCertificates(address string, known []string, opts DialOptions) (*certificates, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	c := &certificates{address: address, host: host, pin: opts.PinHostKey, insecure: opts.Insecure || opts.WinRM.Insecure}
	for i, line := range known {
		if !strings.HasPrefix(line, certificatePrefix) {
			continue // a key of SSH
		}
		pinned, err := parseCertificate(line)
		if err != nil {
			return nil, &SettingError{Reason: fmt.Sprintf("host key %d of %s: %v", i+1, address, err)}
		}
		c.pinned = append(c.pinned, pinned)
	}
	if len(opts.WinRM.CA) > 0 {
		if c.roots, err = certificatePool(opts.WinRM.CA); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// parseCertificate returns an entry that begins with certificatePrefix in its usual spelling.
func parseCertificate(line string) (string, error) {
	sum, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(strings.TrimPrefix(line, certificatePrefix)), ":", ""))
	if err != nil || len(sum) != sha256.Size {
		return "", fmt.Errorf("expected %q and the SHA-256 of the certificate in hex", certificatePrefix)
	}
	return certificatePrefix + hex.EncodeToString(sum), nil
}

// known reports whether a stranger cannot pass for the instance: its certificate is pinned, or a CA vouches for it.
func (c *certificates) known() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.pinned) > 0 || c.roots != nil
}

// begin starts an attempt. What an earlier attempt saw does not bind it: the first boot of an instance may replace the certificate.
func (c *certificates) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offered = ""
}

// settle ends an attempt whose login was accepted. From now on the certificate must not change, unless a CA vouches for it.
func (c *certificates) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pinned) == 0 && c.offered != "" {
		c.pinned = []string{c.offered}
	}
}

// verify checks the certificate in a TLS handshake, before anything is sent. The server has proved that it owns its key.
func (c *certificates) verify(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return &CertificateError{Address: c.address, Err: errors.New("there is none")}
	}
	sum := sha256.Sum256(state.PeerCertificates[0].Raw)
	presented := certificatePrefix + hex.EncodeToString(sum[:])
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.pinned
	if len(known) == 0 && c.offered != "" {
		known = []string{c.offered}
	}
	switch {
	case len(known) > 0 && slices.Contains(known, presented):
		return nil
	case len(known) > 0:
		return &HostKeyError{Address: c.address, Presented: presented, Pinned: known}
	case c.roots != nil:
		return c.verifyChain(state)
	case c.pin != nil:
		if err := c.pin(presented); err != nil {
			return &pinError{err}
		}
	case !c.insecure:
		return c.verifyChain(state) // with the roots of this machine
	}
	c.offered = presented
	return nil
}

func (c *certificates) verifyChain(state tls.ConnectionState) error {
	between := x509.NewCertPool()
	for _, cert := range state.PeerCertificates[1:] {
		between.AddCert(cert)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: c.roots, Intermediates: between, DNSName: c.host})
	if err != nil {
		return &CertificateError{Address: c.address, Err: err}
	}
	return nil
}

// CheckCA returns a *SettingError if ca, as in WinRMOptions.CA, has no certificate in PEM form.
func CheckCA(ca []byte) error {
	_, err := certificatePool(ca)
	return err
}

func certificatePool(ca []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, errBadCA
	}
	return pool, nil
}

var errBadCA = &SettingError{Reason: "winrm_ca_file has no certificate in PEM form (\"-----BEGIN CERTIFICATE-----\"): write the certificate of the CA that signs " +
	"the instances' certificates into it"}

// CertificateError means that the certificate of winrm+https is not one that is accepted. Dial does not retry it.
type CertificateError struct {
	Address string
	Err     error // of crypto/x509: who signed it, or for which names it is
}

// Error says what is wrong with the certificate, and what to do.
func (e *CertificateError) Error() string {
	return fmt.Sprintf("the certificate of %s is not accepted: %v: correct winrm_ca_file in connector_config, or make the image's certificate for the name or "+
		"address that is dialled, or leave winrm_ca_file out, so that the manager pins the certificate that it sees first", e.Address, e.Err)
}

// Unwrap returns Err.
func (e *CertificateError) Unwrap() error { return e.Err }
