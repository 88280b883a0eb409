package config

import (
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/taskscaler/taskscaler/pkg/secret"
)

// Secret is a secret text of the file: it is never printed, and only its Reveal returns it.
type Secret = secret.Text

// RawConfig is a JSON document that is passed to a plugin. It may hold credentials, so it prints as a [Secret]. Only Raw returns it.
type RawConfig struct{ secret secret.Text }

// newRawConfig wraps a JSON document. nil gives the zero RawConfig.
func newRawConfig(raw json.RawMessage) RawConfig { return RawConfig{secret: secret.New(string(raw))} }

// Raw returns a copy of the document, or nil when there is none.
func (c RawConfig) Raw() json.RawMessage {
	if c.secret.Empty() {
		return nil
	}
	return json.RawMessage(c.secret.Reveal())
}

// Equal reports whether both hold the same bytes. Documents made from equal TOML tables are equal, because their keys are sorted.
func (c RawConfig) Equal(other RawConfig) bool { return c.secret.Equal(other.secret) }

// String returns a placeholder, or "" for the empty RawConfig.
func (c RawConfig) String() string { return c.secret.String() }

// Format writes the placeholder whatever the verb and its flags.
func (c RawConfig) Format(f fmt.State, verb rune) { c.secret.Format(f, verb) }

// MarshalText returns the placeholder.
func (c RawConfig) MarshalText() ([]byte, error) { return c.secret.MarshalText() }

// LogValue returns the placeholder.
func (c RawConfig) LogValue() slog.Value { return c.secret.LogValue() }
