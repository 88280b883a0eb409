package pluginkit

import (
	"crypto/rand"
	"fmt"
	"strings"
)

const (
	suffixLen  = 10 // characters of a base 32 number: 50 random bits
	defaultMax = 63 // characters of a DNS label
)

// Names makes unique names for the instances of one group: the prefix, a hyphen and ten random characters of a–z and 2–7. They are legal as host names and
// in the clouds that we know: lower-case letters, digits and hyphens, a letter first, no hyphen last.
type Names struct {
	Prefix string // of every name; often the name of the group
	Max    int    // the most characters that the provider allows; 0: 63. Windows allows 15.
}

// Check returns what is wrong with the prefix, to be put after the key that sets it, or nil. It changes nothing in it, because operators look for their
// machines by this prefix.
func (n Names) Check() error {
	switch longest := n.max() - suffixLen - 1; {
	case n.Prefix == "":
		return fmt.Errorf("is empty")
	case longest < 1:
		return fmt.Errorf("cannot be used: a name of %d characters has no room for it", n.max())
	case len(n.Prefix) > longest:
		return fmt.Errorf("has %d characters, and may have %d", len(n.Prefix), longest)
	case !isLetter(n.Prefix[0]):
		return fmt.Errorf("must begin with a letter of a–z, not with %.20q", n.Prefix[:1])
	case strings.HasSuffix(n.Prefix, "-"):
		return fmt.Errorf("must not end with a hyphen")
	}
	for _, r := range n.Prefix {
		if r > 0x7f || !isLetter(byte(r)) && !isDigit(byte(r)) && r != '-' {
			return fmt.Errorf("may have a–z, 0–9 and hyphens, not %q", r)
		}
	}
	return nil
}

// New returns a new name. The prefix must have passed Check.
func (n Names) New() string {
	return n.Prefix + "-" + strings.ToLower(rand.Text()[:suffixLen])
}

// Owns reports whether New can have made the name. A machine of somebody else can have such a name too, so use Labels where the provider has them.
func (n Names) Owns(name string) bool {
	suffix, ok := strings.CutPrefix(name, n.Prefix+"-")
	if !ok || n.Prefix == "" || len(suffix) != suffixLen {
		return false
	}
	return strings.Trim(suffix, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

func (n Names) max() int {
	if n.Max == 0 {
		return defaultMax
	}
	return n.Max
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
