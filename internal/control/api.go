package control

import (
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// ManagerInfo says who serves a socket.
type ManagerInfo struct {
	PID     int       `json:"pid"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Config  string    `json:"config"` // the configuration file, absolute
}

// Status is what GET /v1/status answers.
type Status struct {
	Manager ManagerInfo    `json:"manager"`
	Runners []RunnerStatus `json:"runners"`
}

// RunnerStatus is one runner of the file.
type RunnerStatus struct {
	Name     string             `json:"name"`
	ID       string             `json:"id,omitempty"`      // the runner's id in the file, empty when it has none
	Position int                `json:"position"`          // in the file, from 1
	Identity string             `json:"identity"`          // names its state directory
	Refused  string             `json:"refused,omitempty"` // why this runner is not run; then Fleet is absent
	Journal  string             `json:"journal,omitempty"` // directory of its journal, which has all that Fleet says; empty: none is kept
	Fleet    *taskscaler.Status `json:"fleet,omitempty"`
}

// Mode says what a LeaseRequest asks for.
type Mode string

// The modes.
const (
	ModeAcquire  Mode = "acquire"  // a new lease; waits for a slot
	ModeReattach Mode = "reattach" // take up the lease that this key holds; never waits
	ModeResume   Mode = "resume"   // reattach if the key holds a lease, else acquire: for a caller that does not know whether it got one
)

// LeaseRequest opens a lease stream.
type LeaseRequest struct {
	Runner string `json:"runner,omitempty"` // name, id or position; may be empty where there is only one
	Key    string `json:"key"`
	Mode   Mode   `json:"mode"`
	// Holder is a nonce of the caller's. The same holder may open a second stream for its key (it takes the lease over from the first);
	// another one may not.
	Holder string `json:"holder"`
}

// Event is one line of a lease stream. Exactly one field is set. After Revoked, Released or Error the stream ends.
type Event struct {
	Wait     *Wait     `json:"wait,omitempty"`
	Lease    *Lease    `json:"lease,omitempty"`
	Revoked  *Revoked  `json:"revoked,omitempty"`
	Released bool      `json:"released,omitempty"`
	Error    *APIError `json:"error,omitempty"`
}

// Wait is why the key has no slot yet.
type Wait struct {
	Position int    `json:"position"` // from 1
	Cause    string `json:"cause"`    // a name of record.Cause
	Sentence string `json:"sentence"` // the same for people: "waiting for an instance to boot"
}

// Lease is a slot of an instance, held under a key.
type Lease struct {
	Key      string `json:"key"`
	Instance string `json:"instance"`
	Slot     int    `json:"slot"`
	Use      int    `json:"use"` // the how-manieth use of the instance, from 1
	// Connect says how to reach the instance; nil after ModeReattach. It holds credentials.
	Connect         *provider.ConnectInfo `json:"connect,omitempty"`
	UseExternalAddr bool                  `json:"use_external_addr,omitempty"`
}

// Revoked says that the lease ended without its caller's doing.
type Revoked struct {
	Instance string `json:"instance"`
	Cause    string `json:"cause"` // a name of record.Cause
	Sentence string `json:"sentence"`
}

// ReleaseRequest gives a lease back.
type ReleaseRequest struct {
	Runner string `json:"runner,omitempty"`
	Key    string `json:"key"`
	// Unhealthy says that the instance must not be used again, and why; empty: nothing is wrong with it.
	Unhealthy Unhealthy `json:"unhealthy,omitempty"`
	// Reason is Unhealthy in the caller's words, for the log and for `taskscaler explain`.
	Reason string `json:"reason,omitempty"`
}

// ReserveRequest asks for the promise of a slot, or gives it up. It is taken up by a lease of the same key; otherwise it is void after
// reservation_deadline.
type ReserveRequest struct {
	Runner string `json:"runner,omitempty"`
	Key    string `json:"key"`
	Cancel bool   `json:"cancel,omitempty"` // give it up
}

// DrainRequest is the body of POST /v1/drain; it may be left out. The runner is in the query.
type DrainRequest struct {
	Undo bool `json:"undo,omitempty"` // take new work again, instead of no more
}

// Unhealthy is what a caller found wrong with an instance.
type Unhealthy string

// What a caller can find.
const (
	UnhealthyUnreachable    Unhealthy = "unreachable"
	UnhealthyChangedHostKey Unhealthy = "changed_host_key"
)

// Code classifies an APIError.
type Code string

// The codes.
const (
	CodeBadRequest    Code = "bad_request"
	CodeUnknownRunner Code = "unknown_runner" // no such runner, or several could be meant
	CodeRefused       Code = "refused"        // this runner is not run; the message says why
	CodeUnknownKey    Code = "unknown_key"    // the key holds no lease
	CodeDuplicateKey  Code = "duplicate_key"  // the key is in use
	CodeNoCapacity    Code = "no_capacity"    // no slot can be promised
	CodeTimeout       Code = "timeout"        // no slot within instance_acquire_timeout
	CodeDraining      Code = "draining"       // no new work is taken
	CodeUndrained     Code = "undrained"      // the drain was undone before it was over
	CodeShutdown      Code = "shutdown"       // the manager is going
	CodeNotReady      Code = "not_ready"
	CodeInternal      Code = "internal"
)

// APIError is a refusal or failure that the manager answered.
type APIError struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

// Error is the manager's message.
func (e *APIError) Error() string { return e.Message }

// Is makes errors.Is(err, &APIError{Code: c}) ask for the code alone.
func (e *APIError) Is(target error) bool {
	t, ok := target.(*APIError)
	return ok && t.Code == e.Code && t.Message == ""
}

// Errorf builds an *APIError; the rest is as for fmt.Sprintf.
func Errorf(code Code, format string, args ...any) *APIError {
	return &APIError{Code: code, Message: fmt.Sprintf(format, args...)}
}
