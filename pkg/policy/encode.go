package policy

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"time"
)

// Policies are what the schedule was compiled from, in order. The slice and all that it points to are the caller's.
func (s *Schedule) Policies() []Policy {
	if s == nil {
		return nil
	}
	return clonePolicies(s.from)
}

// Local is the zone of policies that name none, as given to [Compile]; never nil.
func (s *Schedule) Local() *time.Location {
	if s == nil || s.local == nil {
		return time.UTC
	}
	return s.local
}

// encoded is a schedule as it travels: what it was compiled from.
type encoded struct {
	Policies []Policy
	Local    string
}

// MarshalBinary encodes the policies and the name of the local zone. Of a zone only its name travels: "Local" means the zone of whoever
// decodes it, and a zone made by time.FixedZone can mostly not be decoded at all.
func (s *Schedule) MarshalBinary() ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(encoded{Policies: s.Policies(), Local: s.Local().String()})
	return b.Bytes(), err
}

// UnmarshalBinary compiles what MarshalBinary wrote. Since a schedule is immutable, only an empty one can be filled. Errors: those of
// [Compile], of time.LoadLocation, and of data that is none of ours.
func (s *Schedule) UnmarshalBinary(data []byte) error {
	if s.local != nil {
		return errors.New("policy: a schedule that was compiled is immutable: decode into an empty one")
	}
	var e encoded
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&e); err != nil {
		return fmt.Errorf("policy: an encoded schedule: %w", err)
	}
	local, err := time.LoadLocation(e.Local)
	if err != nil {
		return fmt.Errorf("policy: the local zone of an encoded schedule: %w", err)
	}
	c, err := Compile(e.Policies, local)
	if err != nil {
		return err
	}
	*s = *c
	return nil
}
