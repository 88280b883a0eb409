package policy

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"time"
)

// Policies returns the policies that the schedule was compiled from, in order. The result is a copy: the caller may change it.
func (s *Schedule) Policies() []Policy {
	if s == nil {
		return nil
	}
	return clonePolicies(s.from)
}

// zone returns the time zone of policies that name none, as given to [Compile]. It is never nil.
func (s *Schedule) zone() *time.Location {
	if s == nil || s.local == nil {
		return time.UTC
	}
	return s.local
}

// encoded is the encoded form of a schedule: what it was compiled from.
type encoded struct {
	Policies []Policy
	Local    string
}

// MarshalBinary encodes the policies and the name of the local time zone. It encodes only the name of a zone, so "Local" means the zone of
// the machine that decodes it, and most zones made by time.FixedZone cannot be decoded.
func (s *Schedule) MarshalBinary() ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(encoded{Policies: s.Policies(), Local: s.zone().String()})
	return b.Bytes(), err
}

// UnmarshalBinary compiles what MarshalBinary wrote. A schedule is immutable, so s must be empty. Errors: those of [Compile] and of
// time.LoadLocation, and an error for data that MarshalBinary did not write.
func (s *Schedule) UnmarshalBinary(data []byte) error {
	if s.local != nil {
		return errors.New("policy: a compiled schedule is immutable: decode into an empty Schedule")
	}
	var e encoded
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&e); err != nil {
		return fmt.Errorf("policy: decode a schedule: %w", err)
	}
	local, err := time.LoadLocation(e.Local)
	if err != nil {
		return fmt.Errorf("policy: decode a schedule: its local time zone: %w", err)
	}
	c, err := Compile(e.Policies, local)
	if err != nil {
		return err
	}
	*s = *c
	return nil
}
