// Package secrets lets connect info into its types.
package secrets

import "github.com/taskscaler/taskscaler/pkg/provider"

// Event carries it deep inside.
type Event struct { // want "secret"
	ByID map[string][]*inner // want "secret"
}

type inner struct { // want "secret"
	info provider.ConnectInfo // want "secret"
}

type box[T any] struct{ v T }

var hidden box[func(provider.Settings)] // want "secret"

// Clean is fine.
type Clean struct{ N int }
