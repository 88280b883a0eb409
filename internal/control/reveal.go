package control

import (
	"encoding/json"
	"io"
)

// sentEvent is an Event on its way to its caller, who needs the credentials of the lease. In every other JSON they are redacted.
type sentEvent struct {
	Event
	Lease *sentLease `json:"lease,omitempty"` // in place of that of Event
}

type sentLease struct {
	Lease
	Connect json.RawMessage `json:"connect,omitempty"` // in place of that of Lease
	Jump    *sentJump       `json:"jump,omitempty"`    // the same
}

type sentJump struct {
	JumpHost
	Plain string `json:"key"` // in place of Key
}

// writeEvent writes ev as a line of JSON with the credentials of its lease.
func writeEvent(w io.Writer, ev Event) error {
	sent := sentEvent{Event: ev}
	if ev.Lease != nil {
		sent.Lease = &sentLease{Lease: *ev.Lease}
		if ev.Lease.Connect != nil {
			revealed, err := ev.Lease.Connect.RevealJSON()
			if err != nil {
				return err
			}
			sent.Lease.Connect = revealed
		}
		if j := ev.Lease.Jump; j != nil {
			sent.Lease.Jump = &sentJump{JumpHost: *j, Plain: j.Key.Reveal()}
		}
	}
	return json.NewEncoder(w).Encode(sent)
}
