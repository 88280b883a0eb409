package connector

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"path"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// KnownHostKeys returns the keys of the host at address (a host, or host:port) in the content of a known_hosts file of OpenSSH, in authorized_keys form, as
// JumpHost.HostKeys. Entries for authorities (@cert-authority) and keys that are revoked (@revoked) are left out. Like OpenSSH, it takes an entry without a port
// if there is none with it. The error says how to add a key if there is none.
func KnownHostKeys(knownHosts []byte, address string) ([]string, error) {
	full, err := joinPort(address, sshPort)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(full)
	if err != nil {
		return nil, err
	}
	names := []string{strings.ToLower(host)}
	if port != "22" {
		names = []string{"[" + names[0] + "]:" + port, names[0]}
	}
	entries := parseKnownHosts(knownHosts)
	for _, name := range names {
		var keys []string
		for _, e := range entries {
			revoked := slices.ContainsFunc(entries, func(r knownHost) bool { return r.marker == "revoked" && r.key == e.key })
			if e.marker == "" && !revoked && e.matches(name) && !slices.Contains(keys, e.key) {
				keys = append(keys, e.key)
			}
		}
		if len(keys) > 0 {
			return keys, nil
		}
	}
	return nil, fmt.Errorf("it has no key of %s: %s", full, hostKeyRemedy(full))
}

// knownHost is one line of a known_hosts file.
type knownHost struct {
	marker string
	hosts  []string
	key    string // in authorized_keys form
}

// parseKnownHosts skips lines that it does not understand, as OpenSSH does.
func parseKnownHosts(text []byte) (list []knownHost) {
	for line := range bytes.Lines(text) {
		marker, hosts, key, _, _, err := ssh.ParseKnownHosts(line)
		if err != nil {
			continue
		}
		list = append(list, knownHost{marker, hosts, string(bytes.TrimSpace(ssh.MarshalAuthorizedKey(key)))})
	}
	return list
}

// matches reports whether the entry is for name. A pattern that begins with ! excludes.
func (k *knownHost) matches(name string) bool {
	found := false
	for _, pattern := range k.hosts {
		pattern, excludes := strings.CutPrefix(pattern, "!")
		if matchesHost(pattern, name) {
			if excludes {
				return false
			}
			found = true
		}
	}
	return found
}

// matchesHost compares name with a pattern, which is hashed if it begins with "|1|".
func matchesHost(pattern, name string) bool {
	if hashed, ok := strings.CutPrefix(pattern, "|1|"); ok {
		salt, sum, err := decodeHash(hashed)
		if err != nil {
			return false
		}
		mac := hmac.New(sha1.New, salt)
		mac.Write([]byte(name))
		return subtle.ConstantTimeCompare(mac.Sum(nil), sum) == 1
	}
	// Brackets stand for themselves; path.Match gives them a meaning.
	escaped := strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`).Replace(strings.ToLower(pattern))
	ok, err := path.Match(escaped, name)
	return ok && err == nil
}

func decodeHash(text string) (salt, sum []byte, err error) {
	first, second, ok := strings.Cut(text, "|")
	if !ok {
		return nil, nil, errors.New("not a hash")
	}
	if salt, err = base64.StdEncoding.DecodeString(first); err != nil {
		return nil, nil, err
	}
	sum, err = base64.StdEncoding.DecodeString(second)
	return salt, sum, err
}
