package redact

import (
	"encoding/base64"
	"regexp"
	"strings"
	"unicode"
)

// ByName removes what stands where a secret usually stands: after a name that says so, in an authorization header, in a URL.
type ByName struct{ header, bearer, basic, url, names, assigned, listed *regexp.Regexp }

// NewByName returns a ByName.
func NewByName() ByName {
	const (
		names = `(?:passw|passphrase|secret|token|credential|private_?key|api_?key|access_?key)`
		name  = `[\w.-]*` + names + `[\w.-]*`
		quote = `\\*"(?:[^"\\]|\\[^"])*(?:\\*"|\\?$)|'[^']*(?:'|$)` // a quote may end in a later line
		// The schemes of authorization headers. Everything after one of them belongs to the credentials.
		schemes = `(?:basic|bearer|token|digest|negotiate|ntlm|oauth|apikey|hoba|mutual|sharedkey|signature|privatetoken|vapid|scram-[\w-]+|aws4-[\w-]+)`
	)
	return ByName{
		header:   regexp.MustCompile(`(?i)(authorization\\?"?\s*[:=]\s*\[?\\?"?)(?:(` + schemes + `\s+)[^\s"'\\;\]][^"'\\;\]\r\n]*|[^\s"'\\,;\]]+)`),
		bearer:   regexp.MustCompile(`(?i)(\bbearer\s+)[\w.~+/=-]{12,}`),
		basic:    regexp.MustCompile(`(?i)\bbasic\s+[\w+/-]{6,}={0,2}`),
		url:      regexp.MustCompile(`(://[^/@\s:"']*:)[^/@\s"']+@`),
		names:    regexp.MustCompile(`(?i)` + names),
		assigned: regexp.MustCompile(`(?i)(` + name + `(?:\s*=\s*|\\*"\s*:\s*))(` + quote + `|[^\s"',;&})\]]+)`),
		// password: x, as in YAML, and Password:x, as Go prints a struct. Such a name is also the end of many sentences, so a text of several words is kept.
		listed: regexp.MustCompile(`(?im)((?:^|[\s{\[(,;])'?` + name + `'?:[ \t]*)(` + quote + `|[^\s"',;&{}()\[\]]+)([ \t]*(?:[\r\n,;&})\]#]|[ \t]'?[\w.-]+'?[:=]|$))`),
	}
}

// IsSecret reports whether a name says that what it names is secret. The name of a file is none.
func (b ByName) IsSecret(name string) bool {
	return b.names.MatchString(name) && !strings.HasSuffix(name, "_file") && !strings.HasSuffix(name, "_path")
}

// Text returns s without them.
func (b ByName) Text(s, label string) string {
	s = b.header.ReplaceAllString(s, "${1}${2}"+label)
	s = b.bearer.ReplaceAllString(s, "${1}"+label)
	s = b.basic.ReplaceAllStringFunc(s, func(found string) string { return withoutLogin(found, label) })
	s = b.url.ReplaceAllString(s, "${1}"+label+"@")
	if !b.names.MatchString(s) {
		return s
	}
	return b.withoutListed(b.assigned.ReplaceAllString(s, "${1}"+label), label)
}

// withoutLogin replaces what follows the word basic if it is a name and a password in base64.
func withoutLogin(found, label string) string {
	at := strings.LastIndexFunc(found, unicode.IsSpace) + 1
	login := strings.TrimRight(found[at:], "=")
	text, err := base64.RawStdEncoding.DecodeString(login)
	if err != nil {
		text, err = base64.RawURLEncoding.DecodeString(login)
	}
	if err != nil || !strings.Contains(string(text), ":") {
		return found // such as: basic authentication
	}
	return found[:at] + label
}

// withoutListed replaces the values that follow a name and a colon. The text around one value may be the end of the one before, so it looks again
// after each.
func (b ByName) withoutListed(s, label string) string {
	var out strings.Builder
	for {
		m := b.listed.FindStringSubmatchIndex(s)
		if m == nil {
			out.WriteString(s)
			return out.String()
		}
		name, value := s[m[2]:m[3]], s[m[4]:m[5]]
		out.WriteString(s[:m[4]])
		if remark(value) || !b.IsSecret(strings.Trim(name, " \t\r\n{[(,;':")) {
			out.WriteString(value)
		} else {
			out.WriteString(label)
		}
		s = s[m[5]:]
	}
}

// remark reports whether a value is what a message says of a secret, and not a secret: a common word, a number such as a status or a length, a verb of
// fmt, or the beginning of another message, which ends with a colon.
func remark(value string) bool {
	if strings.HasSuffix(value, ":") || strings.HasPrefix(value, "%") {
		return true
	}
	value = strings.ToLower(strings.TrimRight(value, ".!?"))
	switch value {
	case "", "bad", "changed", "correct", "declined", "denied", "empty", "eof", "expired", "failed", "false", "forbidden", "found", "incomplete", "incorrect",
		"invalid", "malformed", "mismatch", "missing", "needed", "nil", "no", "none", "null", "ok", "open", "omitted", "read", "redacted", "rejected", "renewed",
		"required", "revoked", "set", "stat", "true", "unauthenticated", "unauthorised", "unauthorized", "undefined", "unknown", "unset", "unused", "valid", "wrong", "yes":
		return true
	}
	return len(value) < 6 && strings.TrimFunc(value, unicode.IsDigit) == ""
}
