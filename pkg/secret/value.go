package secret

import (
	"fmt"
	"log/slog"
)

// Value holds a value that contains secrets, for example the settings of a plugin, in a field of a larger structure. It prints as [Redacted].
// The zero Value holds the zero T.
//
// A type with a Format method of its own is not safe in an unexported field, because fmt does not call the methods of such fields. A pointer is
// not safe either: a verb that does not fit, such as %s, prints what it points to.
type Value[T any] struct{ at **T }

// Hide returns value as a secret.
func Hide[T any](value T) Value[T] {
	at := &value
	return Value[T]{at: &at}
}

// Reveal returns the value.
func (v Value[T]) Reveal() (value T) {
	if v.at == nil {
		return value
	}
	return **v.at
}

// String returns [Redacted], or "" if nothing was hidden.
func (v Value[T]) String() string {
	if v.at == nil {
		return ""
	}
	return Redacted
}

// GoString returns String.
func (v Value[T]) GoString() string { return v.String() }

// Format writes String, whatever the verb and its flags.
func (v Value[T]) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(v.String())) }

// MarshalText returns String. The encoders of JSON, TOML and XML use it.
func (v Value[T]) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// LogValue returns String.
func (v Value[T]) LogValue() slog.Value { return slog.StringValue(v.String()) }
