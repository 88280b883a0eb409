package ec2

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// The only credential of a server whose Config has none. They are the examples of AWS's documentation.
const (
	exampleKey    = "AKIAIOSFODNN7EXAMPLE"
	exampleSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" //nolint:gosec // public
)

// principal is a user, or a role that somebody took on.
type principal struct {
	name     string
	arn      string
	admin    bool // everything is allowed
	policies map[string]*policyDocument
}

// account holds who may use the cloud.
type account struct {
	number   string
	keys     map[string]accessKey
	users    map[string]*principal
	roles    map[string]*principal
	policies map[string]*policyDocument // managed policies by ARN
}

type accessKey struct {
	Credential

	who *principal
}

func newAccount(cfg *Config) (*account, error) {
	a := &account{
		number: cfg.Account, keys: map[string]accessKey{}, users: map[string]*principal{}, roles: map[string]*principal{},
		policies: map[string]*policyDocument{},
	}
	credentials := cfg.Credentials
	if len(credentials) == 0 {
		credentials = map[string]Credential{exampleKey: {Secret: exampleSecret}}
	}
	for key, c := range credentials {
		text := cmp.Or(c.Policy, cfg.Policy)
		who := a.user(cmp.Or(c.User, "taskscaler"))
		if text == "" {
			who.admin = true
		} else {
			document, err := parsePolicy(text)
			if err != nil {
				return nil, fmt.Errorf("the policy of the access key %s: %w", key, err)
			}
			who.policies["configured"] = document
		}
		a.keys[key] = accessKey{c, who}
	}
	return a, nil
}

// first returns the first credential, in the order of the access keys.
func (a *account) first() (string, Credential) {
	keys := make([]string, 0, len(a.keys))
	for key := range a.keys {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys[0], a.keys[keys[0]].Credential
}

// user returns a user, and makes it if need be.
func (a *account) user(name string) *principal {
	if u := a.users[name]; u != nil {
		return u
	}
	u := &principal{name: name, arn: "arn:aws:iam::" + a.number + ":user/" + name, policies: map[string]*policyDocument{}}
	a.users[name] = u
	return u
}

// verify returns who signed a request.
func (a *account) verify(s *Server, r *http.Request, body []byte, service string, sig signature) (*principal, *apiError) {
	key, known := a.keys[sig.key]
	token := r.Header.Get("X-Amz-Security-Token")
	switch {
	case !known:
		return nil, unauthenticated(service, "unknown")
	case !sig.valid(r, body, key.Secret):
		return nil, unauthenticated(service, "wrong")
	case token != key.Token:
		return nil, unauthenticated(service, "unknown")
	case late(r):
		return nil, unauthenticated(service, "late")
	case !key.Expires.IsZero() && s.now().After(key.Expires):
		return nil, unauthenticated(service, "expired")
	case sig.region != s.cfg.Region && !global(service, sig.region):
		return nil, wrongRegion(service, sig.region, s.cfg.Region)
	}
	return key.who, nil
}

// global reports whether a service has an endpoint for all regions, which is in us-east-1.
func global(service, region string) bool {
	return region == "us-east-1" && (service == serviceIAM || service == serviceSTS)
}

// ExpireToken lets the session token of an access key be over now.
func (s *Server) ExpireToken(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.account.keys[key]
	k.Expires = s.now().Add(-time.Second)
	s.account.keys[key] = k
}

// target is what an action is about, for policies.
type target struct {
	resource string            // ARN; "*" if the action has none
	keys     map[string]string // condition keys
}

// targeted are inputs of actions that name a resource.
type targeted interface{ target(c *call) target }

// authorize returns the error of a caller that may not do this.
func (c *call) authorize(in any) *apiError {
	if c.who.admin {
		return nil
	}
	t := target{resource: "*"}
	if named, ok := in.(targeted); ok {
		t = named.target(c)
	}
	if t.keys == nil {
		t.keys = map[string]string{}
	}
	t.keys["aws:RequestedRegion"] = c.cfg.Region
	action := c.service + ":" + c.action
	allowed := c.service == serviceSTS && c.action == "GetCallerIdentity" // nobody needs a permission for it
	for _, p := range c.who.policies {
		switch p.decide(action, t) {
		case denied:
			return c.denial(action, t.resource, "with an explicit deny in an identity-based policy")
		case granted:
			allowed = true
		case undecided:
		}
	}
	if allowed {
		return nil
	}
	return c.denial(action, t.resource, "because no identity-based policy allows the "+action+" action")
}

func (c *call) denial(action, resource, why string) *apiError {
	sentence := "User: " + c.who.arn + " is not authorized to perform: " + action
	if resource != "*" || c.service != serviceAutoScaling {
		sentence += " on resource: " + resource
	}
	sentence += " " + why
	switch c.service {
	case serviceEC2:
		return refuse("UnauthorizedOperation", "You are not authorized to perform this operation. %s", sentence).with(http.StatusForbidden)
	case serviceConnect:
		return refuse("AccessDeniedException", "%s", sentence)
	}
	return refuse("AccessDenied", "%s", sentence).with(http.StatusForbidden)
}
