package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
)

// Identity is the name of the runner's state directory, lock and metric label. It is made from url and id, or from url and name when
// there is no id. A new token or another position in the file does not change it. It contains only a–z, 0–9, "-" and ".", and begins
// with a letter or a digit. When Shared is set, use GroupIdentity instead.
func (r Runner) Identity() string {
	if r.ID != "" {
		return identity(r.URL, "id", r.ID)
	}
	return identity(r.URL, "name", r.Name)
}

// FormerIdentity is the Identity that the runner had before the file had its id. A state under this name is taken over when there is
// none under Identity. It is empty when the runner has no id or no name. The state records its provider group, which must be the same.
func (r Runner) FormerIdentity() string {
	if r.ID == "" || r.Name == "" {
		return ""
	}
	return identity(r.URL, "name", r.Name)
}

// GroupIdentity is the identity of a runner with Shared set. group is provider.ProviderInfo.ID.
func (r Runner) GroupIdentity(group string) string {
	base := r.Identity()
	return base + "-" + digest("group", group)
}

// Label names the runner in messages: its name, or else its id, or else its position in the file; and the host name of its url.
func (r Runner) Label() string {
	what := fmt.Sprintf("runner %d", r.Index)
	switch {
	case r.Name != "":
		what = fmt.Sprintf("%q", r.Name)
	case r.ID != "":
		what = "runner id " + r.ID
	}
	if host := host(r.URL); host != "" {
		what += " at " + host
	}
	return what
}

// Title is Label after the word "runner", which is never repeated: for the start of a message.
func (r Runner) Title() string {
	label := r.Label()
	if strings.HasPrefix(label, "runner ") {
		return label
	}
	return "runner " + label
}

func identity(address, by, value string) string {
	canonical, readable := canonicalURL(address), slug(host(address), 32)
	what := slug(value, 24)
	if readable == "" {
		readable = "runner"
	}
	if what == "" {
		what = by
	}
	return readable + "-" + what + "-" + digest(canonical, by, value)
}

// digest returns a short hash. It keeps two identities apart when their slugs are equal.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s,", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}

// slug keeps lower-case letters, digits and dots, and replaces each run of other characters by one "-".
func slug(text string, most int) string {
	var b strings.Builder
	for _, c := range strings.ToLower(text) {
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.':
			b.WriteRune(c)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() >= most {
			break
		}
	}
	return strings.Trim(b.String(), "-.")
}

// host returns the host name of an address, without user, port and path, or "" when there is none.
func host(address string) string {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// canonicalURL gives two addresses of the same server the same form: it lowers the case of scheme and host, and drops the default port,
// trailing slashes, credentials, query and fragment.
func canonicalURL(address string) string {
	trimmed := strings.TrimRight(strings.TrimSpace(address), "/")
	u, err := url.Parse(trimmed)
	if err != nil || u.Host == "" {
		return trimmed
	}
	scheme, name, port := strings.ToLower(u.Scheme), strings.ToLower(u.Hostname()), u.Port()
	if port != "" && !(scheme == "https" && port == "443") && !(scheme == "http" && port == "80") {
		name += ":" + port
	}
	return scheme + "://" + name + strings.TrimRight(u.Path, "/")
}

// markShared sets Shared on runners that have the same identity.
func markShared(runners []Runner) {
	count := map[string]int{}
	for _, r := range runners {
		count[r.Identity()]++
	}
	for i := range runners {
		runners[i].Shared = count[runners[i].Identity()] > 1
	}
}
