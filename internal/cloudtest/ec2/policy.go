package ec2

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// decision is what a policy says about a call.
type decision int

const (
	undecided decision = iota
	granted
	denied
)

// policyDocument is an IAM policy, as far as this server understands it. Whatever it does not understand is an error.
type policyDocument struct {
	Version   string
	ID        string `json:"Id"`
	Statement oneOrMore[statement]
}

type statement struct {
	Sid       string
	Effect    string
	Action    oneOrMore[string]
	NotAction oneOrMore[string]
	Resource  oneOrMore[string]
	Principal any // of the trust policy of a role
	Condition map[string]map[string]oneOrMore[string]
}

// oneOrMore is a JSON value or a list of such values.
type oneOrMore[T any] []T

// UnmarshalJSON reads both forms.
func (o *oneOrMore[T]) UnmarshalJSON(text []byte) error {
	if strings.HasPrefix(strings.TrimSpace(string(text)), "[") {
		var list []T
		err := strict(text, &list)
		*o = list
		return err
	}
	var one T
	err := strict(text, &one)
	*o = []T{one}
	return err
}

func strict(text []byte, to any) error {
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	return d.Decode(to)
}

func parsePolicy(text string) (*policyDocument, error) {
	p := &policyDocument{}
	if err := strict([]byte(text), p); err != nil {
		return nil, fmt.Errorf("it is no policy document: %w", err)
	}
	if p.Version != "2012-10-17" {
		return nil, fmt.Errorf("its Version is %q; write 2012-10-17", p.Version)
	}
	for i, s := range p.Statement {
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("its statement %d: %w", i+1, err)
		}
	}
	return p, nil
}

func (s *statement) check() error {
	switch {
	case s.Effect != "Allow" && s.Effect != "Deny":
		return fmt.Errorf("its Effect is %q; write Allow or Deny", s.Effect)
	case len(s.Action)+len(s.NotAction) == 0:
		return errors.New("it has no Action")
	case len(s.Resource) == 0 && s.Principal == nil:
		return errors.New("it has no Resource")
	}
	for operator := range s.Condition {
		switch operator {
		case "StringEquals", "StringLike", "StringNotEquals", "ArnLike", "ArnEquals", "ForAnyValue:StringEquals":
		default:
			return fmt.Errorf("this server does not know the condition operator %q", operator)
		}
	}
	return nil
}

// decide says what the policy says about an action.
func (p *policyDocument) decide(action string, t target) decision {
	d := undecided
	for _, s := range p.Statement {
		if !s.fits(action, t) {
			continue
		}
		if s.Effect == "Deny" {
			return denied
		}
		d = granted
	}
	return d
}

func (s *statement) fits(action string, t target) bool {
	lower := strings.ToLower(action)
	if len(s.Action) > 0 && !anyLike(s.Action, lower, strings.ToLower) {
		return false
	}
	if len(s.NotAction) > 0 && anyLike(s.NotAction, lower, strings.ToLower) {
		return false
	}
	if !anyLike(s.Resource, t.resource, same) {
		return false
	}
	for operator, keys := range s.Condition {
		for key, want := range keys {
			have, known := t.keys[key]
			fits := known && anyLike(want, have, same)
			if operator == "StringNotEquals" {
				fits = !fits
			}
			if !fits {
				return false
			}
		}
	}
	return true
}

func same(s string) string { return s }

func anyLike(patterns []string, text string, fold func(string) string) bool {
	for _, p := range patterns {
		if like(fold(p), text) {
			return true
		}
	}
	return false
}

// like matches a pattern with * (any text) and ? (any character).
func like(pattern, text string) bool {
	for pattern != "" {
		switch pattern[0] {
		case '*':
			for i := 0; i <= len(text); i++ {
				if like(pattern[1:], text[i:]) {
					return true
				}
			}
			return false
		case '?':
			if text == "" {
				return false
			}
		default:
			if text == "" || text[0] != pattern[0] {
				return false
			}
		}
		pattern, text = pattern[1:], text[1:]
	}
	return text == ""
}
