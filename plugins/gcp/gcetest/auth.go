package gcetest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// account is a service account while the server runs.
type account struct {
	Account
	key *rsa.PrivateKey // of its credentials file
}

// token is an OAuth token.
type token struct {
	email string
	until time.Time // zero: it does not end
}

const (
	keyID     = "5ca1ab1e"
	tokenPath = "/token"
	tokenLife = time.Hour
)

// authenticate finds out who calls. Nobody is asked when there are no accounts.
func (s *Server) authenticate(header string) (*account, *apiError) {
	if len(s.accounts) == 0 {
		return nil, nil
	}
	bearer, ok := strings.CutPrefix(header, "Bearer ")
	if !ok {
		e := refuse(http.StatusUnauthorized, "required", "Login Required.")
		e.location, e.code = "Authorization", "UNAUTHENTICATED"
		return nil, e
	}
	if t, known := s.tokens[bearer]; known && (t.until.IsZero() || s.now().Before(t.until)) {
		return s.accounts[t.email], nil
	}
	if a, err := s.verify(bearer); err == nil {
		return a, nil
	}
	return nil, unauthenticated()
}

// authorize checks the permissions of the caller.
func (c *call) authorize(permissions []string) *apiError {
	grants := c.cfg.Grants
	if c.who != nil && len(c.who.Grants) > 0 {
		grants = c.who.Grants
	}
	if len(grants) == 0 {
		return nil
	}
	for _, p := range permissions {
		if !slices.Contains(grants, p) {
			if strings.HasPrefix(p, "iam.") {
				return c.forbidden(p, "")
			}
			return c.forbidden(p, c.subject())
		}
	}
	return nil
}

// subject is what a permission is missing for: the resource of the call, or the project.
func (c *call) subject() string {
	for _, kind := range [][2]string{{"instance", "instances"}, {"instance_group_manager", "instanceGroupManagers"}, {"instance_template", "instanceTemplates"},
		{"operation", "operations"}, {"autoscaler", "autoscalers"}, {"disk", "disks"}} {
		if name := c.vars[kind[0]]; name != "" {
			return c.place() + "/" + kind[1] + "/" + name
		}
	}
	return ""
}

// claims are what a signed token says.
type claims struct {
	Iss   string `json:"iss"`
	Sub   string `json:"sub"`
	Aud   string `json:"aud"`
	Scope string `json:"scope"`
	Exp   int64  `json:"exp"`
}

// verify returns the account that signed a JSON web token, as Google's clients do: to ask for a token, or instead of one.
func (s *Server) verify(jwt string) (*account, error) {
	part := strings.Split(jwt, ".")
	if len(part) != 3 {
		return nil, errors.New("it is no JSON web token")
	}
	text, err := base64.RawURLEncoding.DecodeString(part[1])
	if err != nil {
		return nil, err
	}
	var c claims
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, err
	}
	a := s.accounts[c.Iss]
	if a == nil || a.key == nil {
		return nil, fmt.Errorf("the account %q is not known", c.Iss)
	}
	signature, err := base64.RawURLEncoding.DecodeString(part[2])
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(part[0] + "." + part[1]))
	if err := rsa.VerifyPKCS1v15(&a.key.PublicKey, crypto.SHA256, sum[:], signature); err != nil {
		return nil, err
	}
	// Tokens are judged by the real time, because clients make them with it.
	if now := time.Now().Unix(); c.Exp < now || c.Exp > now+int64(2*tokenLife/time.Second) {
		return nil, errors.New("the token has expired")
	}
	return a, nil
}

// Credentials writes the key file of a service account, as Google's console does, with this server as token endpoint. The account must be one of Config.Accounts.
func (s *Server) Credentials(path, email string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[email]
	if a == nil {
		return fmt.Errorf("the account %q is not in Config.Accounts", email)
	}
	if a.key == nil {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return err
		}
		a.key = key
	}
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(map[string]string{
		"type": "service_account", "project_id": s.cfg.Project, "private_key_id": keyID, "client_email": email, "client_id": "100000000000000000001",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": s.url + tokenPath, "universe_domain": "googleapis.com",
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// ExpireTokens lets all tokens of the token endpoint be over now.
func (s *Server) ExpireTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for text, t := range s.tokens {
		if !t.until.IsZero() {
			delete(s.tokens, text)
		}
	}
}

// issue makes a token of an account.
func (s *Server) issue(email string) (string, time.Time) {
	var b [24]byte
	_, _ = rand.Read(b[:]) // it never fails
	text, until := "ya29."+hex.EncodeToString(b[:]), s.now().Add(tokenLife)
	s.tokens[text] = token{email: email, until: until}
	return text, until
}

// serveIdentity serves what is not Compute Engine: the token endpoint, impersonation, and the metadata server. It returns false for other paths.
func (s *Server) serveIdentity(w http.ResponseWriter, r *http.Request, body []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch path := r.URL.Path; {
	case path == tokenPath:
		s.exchange(w, body)
	case strings.HasPrefix(path, "/v1/projects/-/serviceAccounts/"):
		s.impersonate(w, r)
	case strings.HasPrefix(path, "/computeMetadata/"):
		s.serveMetadata(w, r)
	default:
		return false
	}
	return true
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may have gone away
}

// exchange gives a token for a signed assertion.
func (s *Server) exchange(w http.ResponseWriter, body []byte) {
	s.calls["oauth.token"]++
	form, err := url.ParseQuery(string(body))
	if err == nil && form.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		err = errors.New("the grant_type is not supported")
	}
	var a *account
	if err == nil {
		a, err = s.verify(form.Get("assertion"))
	}
	if err != nil {
		answerJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant", "error_description": "Invalid JWT Signature. " + err.Error()})
		return
	}
	text, _ := s.issue(a.Email)
	answerJSON(w, http.StatusOK, map[string]any{"access_token": text, "token_type": "Bearer", "expires_in": int(tokenLife / time.Second)})
}

// impersonate gives the token of an account to another one.
func (s *Server) impersonate(w http.ResponseWriter, r *http.Request) {
	s.calls["iamcredentials.generateAccessToken"]++
	email, ok := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/v1/projects/-/serviceAccounts/"), ":generateAccessToken")
	who, fault := s.authenticate(r.Header.Get("Authorization"))
	switch {
	case fault != nil:
	case !ok || s.accounts[email] == nil:
		fault = refuse(http.StatusNotFound, "notFound", "Not found; Gaia id not found for email %s", email)
	case !slices.Contains(who.May, email):
		fault = refuse(http.StatusForbidden, "forbidden", "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).")
		fault.code = "PERMISSION_DENIED"
	}
	if fault != nil {
		w.WriteHeader(fault.status)
		_, _ = w.Write(fault.body())
		return
	}
	text, until := s.issue(email)
	answerJSON(w, http.StatusOK, map[string]string{"accessToken": text, "expireTime": until.UTC().Format(time.RFC3339)})
}
