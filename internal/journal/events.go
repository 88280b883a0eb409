package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// The bits of an event's fields. The seven that callers' events use are the lowest, so that they fit in one byte.
const (
	hasKey = 1 << iota
	hasTicket
	hasDeadline
	hasID
	hasOp
	hasSerial
	hasCause
	hasListed
	hasCount
	hasSince
	hasFailure
	hasConfig
	isOn
	isAway
	allBits = isAway<<1 - 1
)

// bits returns which fields of ev are written.
func bits(ev *scaler.Event) (b uint64) {
	if ev.Key != "" {
		b = hasKey
	}
	if ev.Ticket != 0 {
		b |= hasTicket
	}
	if ev.Deadline != 0 {
		b |= hasDeadline
	}
	if ev.ID != "" {
		b |= hasID
	}
	if ev.Op != 0 {
		b |= hasOp
	}
	if ev.Serial != 0 {
		b |= hasSerial
	}
	if ev.Cause != 0 {
		b |= hasCause
	}
	if ev.Kind >= scaler.EvAppeared || ev.Kind == scaler.EvRelease && ev.Cause != 0 {
		b |= rareBits(ev)
	}
	return b
}

// rareBits returns the bits of fields that a caller's event has only when it reports an unhealthy instance.
func rareBits(ev *scaler.Event) (b uint64) {
	for _, f := range []struct {
		has bool
		bit uint64
	}{
		{ev.Listed != 0, hasListed}, {ev.Count != 0, hasCount}, {ev.Since != 0, hasSince}, {ev.Failure != failure.Failure{}, hasFailure},
		{ev.Config != nil, hasConfig}, {ev.On, isOn}, {ev.Away, isAway},
	} {
		if f.has {
			b |= f.bit
		}
	}
	return b
}

// appendEvent writes ev. It fails only when a configuration cannot be encoded.
func appendEvent(b []byte, s *state, ev *scaler.Event) ([]byte, error) {
	has := bits(ev)
	b = binary.AppendUvarint(append(b, byte(ev.Kind)), has)
	if has&hasKey != 0 {
		b = appendText(b, string(ev.Key))
	}
	if has&hasTicket != 0 {
		b = binary.AppendVarint(b, int64(ev.Ticket-s.ticket))
		s.ticket = ev.Ticket
	}
	if has&hasDeadline != 0 {
		patience := int64(ev.Deadline) - s.mono
		b = binary.AppendVarint(b, patience-s.patience)
		s.patience = patience
	}
	if has&hasID != 0 {
		b = appendText(b, string(ev.ID))
	}
	if has&hasOp != 0 {
		b = binary.AppendUvarint(b, ev.Op)
	}
	if has&hasSerial != 0 {
		b = binary.AppendUvarint(b, ev.Serial)
	}
	if has&hasCause != 0 {
		b = append(b, byte(ev.Cause))
	}
	if has >= hasListed {
		return appendRare(b, s, ev, has)
	}
	return b, nil
}

func appendRare(b []byte, s *state, ev *scaler.Event, has uint64) ([]byte, error) {
	if has&hasListed != 0 {
		b = append(b, byte(ev.Listed))
	}
	if has&hasCount != 0 {
		b = binary.AppendVarint(b, int64(ev.Count))
	}
	if has&hasSince != 0 {
		b = binary.AppendVarint(b, int64(ev.Since)-s.mono)
	}
	if has&hasFailure != 0 {
		b = binary.AppendVarint(append(b, byte(ev.Failure.Kind)), int64(ev.Failure.RetryAfter))
		b = appendText(b, ev.Failure.Message)
	}
	if has&hasConfig != 0 {
		var g bytes.Buffer
		if err := gob.NewEncoder(&g).Encode(ev.Config); err != nil {
			return b, fmt.Errorf("cannot encode a configuration: %w", err)
		}
		b = append(binary.AppendUvarint(b, uint64(g.Len())), g.Bytes()...)
	}
	return b, nil
}

// cut shortens a failure's text to maxMessage bytes, without cutting through a character.
func cut(text string) string {
	if len(text) > maxMessage {
		text = text[:maxMessage]
		for range utf8.UTFMax - 1 {
			if r, size := utf8.DecodeLastRuneInString(text); r == utf8.RuneError && size == 1 {
				text = text[:len(text)-1]
			}
		}
	}
	return strings.ToValidUTF8(text, "?") // never longer than before
}

// event reads one event. It rejects values that no core can have received.
func (d *decoder) event(s *state) (ev scaler.Event) {
	ev.Kind = scaler.EventKind(d.byte())
	has := d.uvarint()
	if ev.Kind < scaler.EvReserve || ev.Kind > scaler.EvUnreachable || has > allBits {
		d.fail()
		return ev
	}
	if has&hasKey != 0 {
		ev.Key = record.Key(d.text())
	}
	if has&hasTicket != 0 {
		s.ticket += uint64(d.varint())
		ev.Ticket = s.ticket
	}
	if has&hasDeadline != 0 {
		s.patience += d.varint()
		ev.Deadline = time.Duration(s.mono + s.patience)
	}
	if has&hasID != 0 {
		ev.ID = record.ID(d.text())
	}
	if has&hasOp != 0 {
		ev.Op = d.uvarint()
	}
	if has&hasSerial != 0 {
		ev.Serial = d.uvarint()
	}
	if has&hasCause != 0 {
		ev.Cause = record.Cause(d.byte())
	}
	d.rare(s, &ev, has)
	return ev
}

func (d *decoder) rare(s *state, ev *scaler.Event, has uint64) {
	if has&hasListed != 0 {
		ev.Listed = fleet.Listed(d.byte())
	}
	if has&hasCount != 0 {
		ev.Count = int(d.varint())
	}
	if has&hasSince != 0 {
		ev.Since = time.Duration(s.mono + d.varint())
	}
	if has&hasFailure != 0 {
		ev.Failure.Kind, ev.Failure.RetryAfter, ev.Failure.Message = failure.Kind(d.byte()), time.Duration(d.varint()), d.text()
	}
	if has&hasConfig != 0 {
		ev.Config = d.config()
	}
	ev.On, ev.Away = has&isOn != 0, has&isAway != 0
	if ev.Listed > fleet.ListedDeleted {
		d.fail()
	}
}

func (d *decoder) config() *scaler.Config {
	text := d.text()
	if d.err != nil {
		return nil
	}
	cfg := &scaler.Config{}
	err := gob.NewDecoder(strings.NewReader(text)).Decode(cfg)
	if err == nil {
		err = cfg.Plausible()
	}
	if err != nil {
		d.b, d.err = nil, fmt.Errorf("cannot decode a configuration: %w", err)
		return nil
	}
	return cfg
}

// round is one round record.
type round struct {
	check  uint32
	now    scaler.Time
	events []scaler.Event
}

func parseRound(payload []byte, s *state) (r round, err error) {
	d := decoder{b: payload}
	r.check = d.uint32()
	elapsed, drift := d.varint(), d.varint()
	s.mono += elapsed
	s.wall += elapsed + drift
	r.now = s.time()
	n := d.uvarint()
	if !r.now.Plausible() || n > uint64(len(d.b))/2 {
		d.fail()
		return r, d.err
	}
	r.events = make([]scaler.Event, 0, n)
	for range n {
		r.events = append(r.events, d.event(s))
		if d.err != nil {
			return r, d.err
		}
	}
	if len(d.b) > 0 {
		d.fail()
	}
	return r, d.err
}

// Check returns the check value of a batch. It is a hash of the wake time, the flags, the number of records of each kind, every command's
// number and every grant's slot. It is cheap rather than strong: a replay that differs is noticed soon, but perhaps not at once.
//
//	h = 14695981039346656037, then h = (h xor x) × 1099511628211 (mod 2^64) for each x of:
//	Wake · 1 if Expecting, plus 2 if Done · the numbers of records put, dropped, intents put, dropped, commands, grants, facts (seven values)
//	for each command: Op
//	for each grant: its kind + 256 × Slot + 65536 × Ticket
//
// The result is the upper 32 bits of h xor the lower 32 bits.
func Check(b *scaler.Batch) uint32 {
	const prime = 1099511628211
	h := uint64(14695981039346656037)
	flags := uint64(0)
	if b.Expecting {
		flags = 1
	}
	if b.Done {
		flags |= 2
	}
	for _, x := range [...]uint64{
		uint64(b.Wake), flags, uint64(len(b.Changes.Put)), uint64(len(b.Changes.Drop)), uint64(len(b.Changes.PutIntents)),
		uint64(len(b.Changes.DropIntents)), uint64(len(b.Commands)), uint64(len(b.Grants)), uint64(len(b.Facts)),
	} {
		h = (h ^ x) * prime
	}
	for i := range b.Commands {
		h = (h ^ b.Commands[i].Op) * prime
	}
	for i := range b.Grants {
		g := &b.Grants[i]
		h = (h ^ (uint64(g.Kind) + uint64(g.Slot)<<8 + g.Ticket<<16)) * prime
	}
	return uint32(h>>32) ^ uint32(h)
}
