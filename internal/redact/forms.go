package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// forms returns s as it is, and as programs usually print it: in JSON, as Go's %q and %x, as bytes, in a URL, and in base64, also within a longer
// text that is encoded as a whole, such as user:password.
func forms(s string) []string {
	all := []string{s, inJSON(s, true), inJSON(s, false), inner(strconv.Quote(s)), inner(strconv.QuoteToASCII(s))}
	if len(s) < minEncoded {
		return all
	}
	h := hex.EncodeToString([]byte(s))
	all = append(all, h, strings.ToUpper(h), inner(fmt.Sprint([]byte(s))), url.QueryEscape(s), url.PathEscape(s))
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		all = append(all, e.EncodeToString([]byte(s)))
		for before := range 3 {
			all = append(all, core(e, s, before))
		}
	}
	return all
}

// inner removes the quotes or brackets around a text.
func inner(s string) string { return s[1 : len(s)-1] }

func inJSON(s string, html bool) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(html)
	if e.Encode(s) != nil { // a text can always be encoded
		return s
	}
	return inner(strings.TrimSuffix(b.String(), "\n"))
}

// core returns the part of the encoding of s that is the same whatever comes before and after it, if so many bytes of a group of three come before.
func core(e *base64.Encoding, s string, before int) string {
	all := append(make([]byte, before), s...)
	return e.EncodeToString(all)[(before*8+5)/6 : len(all)*8/6]
}
