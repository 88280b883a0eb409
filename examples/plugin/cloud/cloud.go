// Package cloud is the client of an HTTP API that has machines. Replace it by the client of your cloud, and keep the kinds of its errors.
package cloud

import "github.com/taskscaler/taskscaler/pkg/provider"

// User is the login of a machine.
const User = "ci"

// Machine is a machine as the cloud shows it.
type Machine struct {
	ID      string            `json:"id"`
	State   string            `json:"state"`             // one of the words of States
	Address string            `json:"address,omitempty"` // host:port of its SSH server; "" until it has one
	HostKey string            `json:"host_key,omitempty"`
	OS      string            `json:"os,omitempty"`
	Arch    string            `json:"arch,omitempty"`
	Labels  map[string]string `json:"labels"`
}

// Spec is a machine that does not exist yet.
type Spec struct {
	Name          string            `json:"name"`
	Labels        map[string]string `json:"labels"`
	AuthorizedKey string            `json:"authorized_key,omitempty"` // "": the image knows the operator's login
}

// States are the cloud's words for the states of a machine.
var States = map[string]provider.State{
	"starting": provider.StateCreating,
	"running":  provider.StateRunning,
	"stopping": provider.StateDeleting,
}
