package ec2

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// skew is how far a client's clock may be off.
const skew = 5 * time.Minute

const timeFormat = "20060102T150405Z"

// signature is what the Authorization header of a request says (AWS Signature Version 4).
type signature struct {
	key, date, region, service string
	headers                    []string
	sum                        string
}

// parseSignature reads the Authorization header.
func parseSignature(r *http.Request) (signature, *apiError) {
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	if !ok {
		return signature{}, refuse("MissingAuthenticationToken", "Request is missing Authentication Token").with(http.StatusForbidden)
	}
	var s signature
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Credential":
			scope := strings.Split(value, "/")
			if len(scope) != 5 || scope[4] != "aws4_request" {
				return s, refuse("IncompleteSignature", "Credential must have 5 parts, and end with aws4_request: %s", value)
			}
			s.key, s.date, s.region, s.service = scope[0], scope[1], scope[2], scope[3]
		case "SignedHeaders":
			s.headers = strings.Split(value, ";")
		case "Signature":
			s.sum = value
		}
	}
	if s.key == "" || s.sum == "" || !slices.Contains(s.headers, "host") {
		return s, refuse("IncompleteSignature", "Authorization header requires Credential, SignedHeaders with host, and Signature")
	}
	return s, nil
}

// valid reports whether the request was signed with secret.
func (s signature) valid(r *http.Request, body []byte, secret string) bool {
	if !strings.HasPrefix(r.Header.Get("X-Amz-Date"), s.date) {
		return false
	}
	return hmac.Equal([]byte(s.sign(r, body, secret)), []byte(s.sum))
}

// sign returns the right signature of a request.
func (s signature) sign(r *http.Request, body []byte, secret string) string {
	date := r.Header.Get("X-Amz-Date")
	scope := strings.Join([]string{s.date, s.region, s.service, "aws4_request"}, "/")
	text := strings.Join([]string{"AWS4-HMAC-SHA256", date, scope, hexSum([]byte(s.canonical(r, body)))}, "\n")
	key := []byte("AWS4" + secret)
	for _, part := range []string{s.date, s.region, s.service, "aws4_request", text} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	return hex.EncodeToString(key)
}

// canonical is the form of a request that is signed.
func (s signature) canonical(r *http.Request, body []byte) string {
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	query := strings.ReplaceAll(r.URL.Query().Encode(), "+", "%20") // sorted by name
	var headers strings.Builder
	for _, name := range s.headers {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = fmt.Sprint(r.ContentLength)
		}
		headers.WriteString(name + ":" + strings.Join(strings.Fields(value), " ") + "\n")
	}
	return strings.Join([]string{r.Method, (&url.URL{Path: path}).EscapedPath(), query, headers.String(), strings.Join(s.headers, ";"), hexSum(body)}, "\n")
}

// late reports whether the time of the request is too far from the real time. Config.Now does not count: the client does not know it.
func late(r *http.Request) bool {
	at, err := time.Parse(timeFormat, r.Header.Get("X-Amz-Date"))
	return err != nil || time.Since(at).Abs() > skew
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// unauthenticated returns the errors by which each service refuses a credential.
func unauthenticated(service, why string) *apiError {
	type texts struct{ query, json, message string }
	all := map[string]texts{
		"unknown": {"InvalidClientTokenId", "UnrecognizedClientException", "The security token included in the request is invalid."},
		"wrong": {
			"SignatureDoesNotMatch", "InvalidSignatureException", "The request signature we calculated does not match the signature you provided. " +
				"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
		},
		"expired": {"ExpiredToken", "ExpiredTokenException", "The security token included in the request is expired"},
		"late":    {"SignatureDoesNotMatch", "InvalidSignatureException", "Signature expired: it is more than 5 minutes off the server's time"},
	}
	t := all[why]
	switch {
	case service == serviceConnect:
		return refuse(t.json, "%s", t.message)
	case service != serviceEC2:
		return refuse(t.query, "%s", t.message).with(http.StatusForbidden)
	case why == "expired" || why == "late":
		return refuse("RequestExpired", "Request has expired.")
	}
	return refuse("AuthFailure", "AWS was not able to validate the provided access credentials").with(http.StatusUnauthorized)
}

// wrongRegion is the answer to a request whose signature is for another region.
func wrongRegion(service, region, want string) *apiError {
	message := fmt.Sprintf("Credential should be scoped to a valid region, not '%s'. This server is in '%s'.", region, want)
	switch service {
	case serviceConnect:
		return refuse("InvalidSignatureException", "%s", message)
	case serviceEC2:
		return refuse("AuthFailure", "%s", message).with(http.StatusUnauthorized)
	}
	return refuse("SignatureDoesNotMatch", "%s", message).with(http.StatusForbidden)
}
