// Package secret has types for passwords, private keys, tokens, and what contains them. They print as [Redacted] wherever they are formatted, logged
// or encoded. Only their method Reveal returns what they hold, so a search for Reveal finds every place that takes a secret out.
package secret

import (
	"fmt"
	"log/slog"
)

// Redacted is what a secret shows in place of its text.
const Redacted = "[redacted]"

// Text is a secret text. Every verb of fmt, every log of slog, JSON, TOML and every other text encoding show [Redacted], and nothing for the
// empty text. The text is behind a pointer, so that a structure that is printed by reflection shows an address and not the text. The zero value
// is the empty text.
//
// Text can be decoded from JSON and other text encodings. A plugin can use it in its configuration:
//
//	type InstanceGroup struct {
//		Token secret.Text `json:"token"`
//	}
type Text struct{ text *string }

// New returns text as a secret. The empty text gives the zero Text.
func New(text string) Text {
	if text == "" {
		return Text{}
	}
	return Text{text: &text}
}

// Reveal returns the text.
func (t Text) Reveal() string {
	if t.text == nil {
		return ""
	}
	return *t.text
}

// Empty reports whether the text is empty.
func (t Text) Empty() bool { return t.text == nil }

// Equal reports whether both hold the same text. The operator == compares addresses.
func (t Text) Equal(other Text) bool { return t.Reveal() == other.Reveal() }

// String returns [Redacted], or "" for the empty text.
func (t Text) String() string {
	if t.text == nil {
		return ""
	}
	return Redacted
}

// GoString returns String.
func (t Text) GoString() string { return t.String() }

// Format writes String, whatever the verb and its flags.
func (t Text) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(t.String())) }

// MarshalText returns String. The encoders of JSON, TOML and XML use it.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText sets the text. The decoders of JSON, TOML and XML use it.
func (t *Text) UnmarshalText(text []byte) error {
	*t = New(string(text))
	return nil
}

// LogValue returns String.
func (t Text) LogValue() slog.Value { return slog.StringValue(t.String()) }
