package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a text that is never printed: formatting, logging and encoding give a placeholder. Only Reveal returns the text. The text is
// behind a pointer, so that a structure printed by reflection shows an address and not the text. The zero value is the empty secret.
type Secret struct{ text *string }

// newSecret wraps text. The empty text gives the zero Secret.
func newSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{text: &text}
}

// Reveal returns the text.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// empty reports whether the text is empty.
func (s Secret) empty() bool { return s.text == nil }

// equal reports whether both secrets hold the same text.
func (s Secret) equal(other Secret) bool { return s.Reveal() == other.Reveal() }

// String returns a placeholder, or "" for the empty Secret.
func (s Secret) String() string {
	if s.text == nil {
		return ""
	}
	return redacted
}

// Format writes the placeholder whatever the verb and its flags.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// MarshalText returns the placeholder. JSON and TOML encoders use it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue returns the placeholder.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// RawConfig is a JSON document that is passed to a plugin. It may hold credentials, so it prints as a [Secret]. Only Raw returns it.
type RawConfig struct{ secret Secret }

// newRawConfig wraps a JSON document. nil gives the zero RawConfig.
func newRawConfig(raw json.RawMessage) RawConfig { return RawConfig{secret: newSecret(string(raw))} }

// Raw returns a copy of the document, or nil when there is none.
func (c RawConfig) Raw() json.RawMessage {
	if c.secret.empty() {
		return nil
	}
	return json.RawMessage(c.secret.Reveal())
}

// Equal reports whether both hold the same bytes. Documents made from equal TOML tables are equal, because their keys are sorted.
func (c RawConfig) Equal(other RawConfig) bool { return c.secret.equal(other.secret) }

// String returns a placeholder, or "" for the empty RawConfig.
func (c RawConfig) String() string { return c.secret.String() }

// Format writes the placeholder whatever the verb and its flags.
func (c RawConfig) Format(f fmt.State, verb rune) { c.secret.Format(f, verb) }

// MarshalText returns the placeholder.
func (c RawConfig) MarshalText() ([]byte, error) { return c.secret.MarshalText() }

// LogValue returns the placeholder.
func (c RawConfig) LogValue() slog.Value { return c.secret.LogValue() }
