package connector

import (
	"crypto/rsa"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// minRSA is the size in bits of the smallest RSA key that is accepted: of a host, or to log in with. Below it, keys count as breakable
// (NIST SP 800-131A). Without the limit of ours, crypto/rsa accepts 1024.
const minRSA = 2048

// What DialOptions.LegacyAlgorithms adds. All of it rests on SHA-1.
var (
	legacyExchanges = []string{ssh.InsecureKeyExchangeDH14SHA1, ssh.InsecureKeyExchangeDHGEXSHA1}
	legacyMACs      = []string{ssh.HMACSHA1}
	legacyHostKeys  = []string{ssh.KeyAlgoRSA}
)

// groupExchange is the key exchange that DialOptions.GroupExchange adds. It is not offered otherwise, because the server chooses the group, and the client
// cannot check that the group is a good one.
const groupExchange = ssh.KeyExchangeDHGEXSHA256

// allowed says which algorithms are accepted beside the usual ones.
type allowed struct {
	legacy        bool // DialOptions.LegacyAlgorithms
	groupExchange bool
}

func allowedBy(opts DialOptions) allowed {
	return allowed{legacy: opts.LegacyAlgorithms, groupExchange: opts.GroupExchange || opts.LegacyAlgorithms}
}

// setAlgorithms sets the algorithms that config offers: all that are secure, so that hardened images find theirs, and the others that are allowed last.
func setAlgorithms(config *ssh.Config, also allowed) {
	all := ssh.SupportedAlgorithms()
	config.Ciphers = all.Ciphers
	config.KeyExchanges = slices.DeleteFunc(all.KeyExchanges, func(name string) bool { return name == groupExchange })
	config.MACs = slices.DeleteFunc(all.MACs, func(name string) bool { return slices.Contains(legacyMACs, name) })
	if also.groupExchange {
		config.KeyExchanges = append(config.KeyExchanges, groupExchange)
	}
	if also.legacy {
		config.KeyExchanges = append(config.KeyExchanges, legacyExchanges...)
		config.MACs = append(config.MACs, legacyMACs...)
	}
}

// withoutSHA1 returns a signer that does not sign with SHA-1. Only RSA keys would, for a server that does not say which signatures it takes.
func withoutSHA1(signer ssh.Signer) (ssh.Signer, error) {
	of, ok := signer.(ssh.AlgorithmSigner)
	if !ok || signer.PublicKey().Type() != ssh.KeyAlgoRSA {
		return signer, nil
	}
	return ssh.NewSignerWithAlgorithms(of, []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256})
}

// shortRSA returns the size of an RSA key that is too small, else 0.
func shortRSA(key ssh.PublicKey) int {
	wrapped, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		return 0
	}
	if k, ok := wrapped.CryptoPublicKey().(*rsa.PublicKey); ok && k.N.BitLen() < minRSA {
		return k.N.BitLen()
	}
	return 0
}

// LegacyError means that the instance's SSH server offers only algorithms that are not used without a setting: those with SHA-1, a short RSA key, or the
// group exchange with SHA-256. Dial does not retry it.
type LegacyError struct {
	Address string
	Offers  string // "an RSA host key of 1024 bits", or the algorithms: "only the key exchange diffie-hellman-group14-sha1"

	byGroup bool // GroupExchange is enough
}

// Error says what the server offers and what to do.
func (e *LegacyError) Error() string {
	if e.byGroup {
		return fmt.Sprintf("the SSH server at %s offers %s, which is used only on demand: update the image, or set allow_dh_group_exchange = true in "+
			"connector_config", e.Address, e.Offers)
	}
	return fmt.Sprintf("the SSH server at %s offers %s, which is no longer secure: update the image, or set allow_legacy_ssh = true in connector_config "+
		"to accept it", e.Address, e.Offers)
}

// legacyOf returns a LegacyError if there was no common algorithm, and there would have been one with GroupExchange or LegacyAlgorithms.
func legacyOf(address string, none *ssh.AlgorithmNegotiationError, also allowed) error {
	if also.legacy {
		return nil
	}
	if !also.groupExchange && strings.Contains(none.What, "key exchange") && slices.Contains(none.RequestedAlgorithms, groupExchange) {
		return &LegacyError{Address: address, Offers: "only the key exchange " + groupExchange, byGroup: true}
	}
	for _, kind := range [...]struct {
		named, called string
		legacy        []string
	}{
		{"key exchange", "the key exchange", legacyExchanges}, {"host key", "host keys of type", legacyHostKeys}, {"MAC", "the MAC", legacyMACs},
	} {
		if !strings.Contains(none.What, kind.named) {
			continue
		}
		var found []string
		for _, name := range none.RequestedAlgorithms {
			if slices.Contains(kind.legacy, name) {
				found = append(found, name)
			}
		}
		if len(found) > 0 {
			return &LegacyError{Address: address, Offers: "only " + kind.called + " " + strings.Join(found, ", ")}
		}
	}
	return nil
}
