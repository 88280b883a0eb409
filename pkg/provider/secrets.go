package provider

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/taskscaler/taskscaler/pkg/secret"
)

// LogValue returns the fields for a structured log. A secret that is set is [redacted].
func (c ConnectorConfig) LogValue() slog.Value {
	shown := []slog.Attr{slog.String("os", c.OS), slog.String("arch", c.Arch), slog.String("protocol", string(c.Protocol)),
		slog.Int("port", c.ProtocolPort), slog.String("username", c.Username)}
	if c.Password != "" {
		shown = append(shown, slog.String("password", secret.Redacted))
	}
	if len(c.Key) > 0 {
		shown = append(shown, slog.String("key", secret.Redacted))
	}
	return slog.GroupValue(shown...)
}

// String returns the fields as LogValue does.
func (c ConnectorConfig) String() string { return c.LogValue().String() }

// Format writes String for every verb of fmt, %#v and %d included: no verb shows the secrets.
func (c ConnectorConfig) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// plainConnector is ConnectorConfig without its methods, so that JSON shows every field.
type plainConnector ConnectorConfig

// hiddenConnector is ConnectorConfig in JSON. Its Key takes the place of the other one.
type hiddenConnector struct {
	plainConnector
	Key string `json:"key,omitempty"`
}

func (c ConnectorConfig) hidden() hiddenConnector {
	h := hiddenConnector{plainConnector: plainConnector(c)}
	if c.Password != "" {
		h.Password = secret.Redacted
	}
	if len(c.Key) > 0 {
		h.Key = secret.Redacted
	}
	return h
}

// MarshalJSON writes the fields. A secret that is set is [redacted]. The result is for people: json.Unmarshal does not get the secrets back.
func (c ConnectorConfig) MarshalJSON() ([]byte, error) { return json.Marshal(c.hidden()) }

// LogValue returns the fields for a structured log. A secret that is set is [redacted].
func (c ConnectInfo) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", c.ID), slog.String("external_addr", c.ExternalAddr), slog.String("internal_addr", c.InternalAddr),
		slog.Any("connector", c.ConnectorConfig))
}

// String returns the fields as LogValue does.
func (c ConnectInfo) String() string { return c.LogValue().String() }

// Format writes String for every verb of fmt, %#v and %d included: no verb shows the secrets.
func (c ConnectInfo) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// address is what ConnectInfo has beside its ConnectorConfig.
type address struct {
	ID           string     `json:"id"`
	ExternalAddr string     `json:"external_addr,omitempty"`
	InternalAddr string     `json:"internal_addr,omitempty"`
	Expires      *time.Time `json:"expires,omitempty"`
	HostKeys     []string   `json:"host_keys,omitempty"`
}

func (c ConnectInfo) address() address {
	return address{ID: c.ID, ExternalAddr: c.ExternalAddr, InternalAddr: c.InternalAddr, Expires: c.Expires, HostKeys: c.HostKeys}
}

// MarshalJSON writes the fields. A secret that is set is [redacted]. The result is for people: json.Unmarshal does not get the secrets back.
func (c ConnectInfo) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		hiddenConnector
		address
	}{c.hidden(), c.address()})
}

// RevealJSON writes c in JSON with its secrets, for a place that may hold them: a state at rest, or the caller of a lease. json.Unmarshal
// reads it into a ConnectInfo.
func (c ConnectInfo) RevealJSON() ([]byte, error) {
	return json.Marshal(struct {
		plainConnector
		address
	}{plainConnector(c.ConnectorConfig), c.address()})
}
