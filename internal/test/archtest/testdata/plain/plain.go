// Package plain holds secrets in plain types, and in types that print them.
package plain

import (
	"fmt"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// Account has secrets in plain types.
type Account struct {
	DBPassword string
	Tokens     []string
	APIKey     string
	Key        []byte
	secrets    map[string]bool

	TokenPath string
	Password  secret.Text
}

// Lease has a key that is none.
type Lease struct{ Key string }

type holder struct{ info provider.ConnectInfo }

type byPointer struct{ settings *provider.Settings }

type deep struct{ all map[string][]holder }

type exported struct{ Info provider.ConnectInfo }

type hidden struct {
	settings secret.Value[provider.Settings]
	config   **provider.ConnectorConfig
}

type formatted struct{ info provider.ConnectInfo }

// Format implements fmt.Formatter.
func (formatted) Format(fmt.State, rune) {}
