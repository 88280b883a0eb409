package control

import (
	"fmt"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/secret"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// ManagerInfo describes the manager at a socket.
type ManagerInfo struct {
	PID     int       `json:"pid"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Config  string    `json:"config"` // the configuration file, absolute
}

// Status is the answer of GET /v1/status.
type Status struct {
	Manager ManagerInfo    `json:"manager"`
	Reload  *Reload        `json:"reload,omitempty"` // the latest reload of the file; absent: there was none
	Runners []RunnerStatus `json:"runners"`
}

// Reload is the result of reading the file again.
type Reload struct {
	At       time.Time `json:"at"`
	Reloaded []string  `json:"reloaded,omitempty"` // names of the runners that use their new configuration
	Problems []string  `json:"problems,omitempty"` // what did not take effect, why, and what to do; empty: everything did
	Warnings []string  `json:"warnings,omitempty"` // the warnings of the file, if it was not refused
}

// RunnerStatus is one runner of the file.
type RunnerStatus struct {
	Name     string             `json:"name"`
	ID       string             `json:"id,omitempty"`       // the runner's id in the file, empty when it has none
	Position int                `json:"position"`           // in the file, from 1
	Identity string             `json:"identity"`           // names its state directory
	Refused  string             `json:"refused,omitempty"`  // why this runner was not started; Fleet is absent then
	Starting bool               `json:"starting,omitempty"` // its plugin is being started; Fleet is absent then
	Failed   string             `json:"failed,omitempty"`   // why it could not be started; it is tried again, and Fleet is absent until then
	Tries    int                `json:"tries,omitempty"`    // how often it was tried
	NextTry  *time.Time         `json:"next_try,omitempty"` // when it is tried again
	Held     int                `json:"held,omitempty"`     // clients that waited for a slot when a drain began, and wait for its end
	Journal  string             `json:"journal,omitempty"`  // directory of its journal, which contains everything in Fleet; empty: no journal
	Fleet    *taskscaler.Status `json:"fleet,omitempty"`
}

// Mode says what a LeaseRequest asks for.
type Mode string

// The modes.
const (
	ModeAcquire  Mode = "acquire"  // a new lease; waits for a slot
	ModeReattach Mode = "reattach" // reattach to the lease of this key; never waits
	ModeResume   Mode = "resume"   // reattach if the key has a lease, else acquire; for a caller that does not know whether it has a lease
)

// LeaseRequest opens a lease stream.
type LeaseRequest struct {
	Runner string `json:"runner,omitempty"` // name, id or position; may be empty if there is only one runner
	Key    string `json:"key"`
	Mode   Mode   `json:"mode"`
	// Holder is a random text of the caller. A caller with the same Holder may open a second stream for its key, which takes over the lease
	// from the first stream. Another caller may not.
	Holder string `json:"holder"`
}

// Event is one line of a lease stream, or of a drain. Exactly one field is set; the last line of a complete drain has none. After Revoked, Released
// or Error the stream ends.
type Event struct {
	// Alive is sent at regular times while there is nothing to say, so that a client can tell a wait from a manager that hangs.
	Alive    bool      `json:"alive,omitempty"`
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
	Sentence string `json:"sentence"` // the same in words: "waiting for an instance to boot"
}

// Lease is a slot of an instance, held under a key.
type Lease struct {
	Key      string `json:"key"`
	Instance string `json:"instance"`
	Slot     int    `json:"slot"`
	Use      int    `json:"use"` // the ordinal of this use of the instance, starting at 1
	// Connect says how to connect to the instance. It contains credentials. It is nil after ModeReattach.
	Connect              *provider.ConnectInfo `json:"connect,omitempty"`
	UseExternalAddr      bool                  `json:"use_external_addr,omitempty"`
	AllowLegacySSH       bool                  `json:"allow_legacy_ssh,omitempty"`
	AllowDHGroupExchange bool                  `json:"allow_dh_group_exchange,omitempty"`
	Jump                 *JumpHost             `json:"jump,omitempty"`  // nil: none
	WinRM                *WinRM                `json:"winrm,omitempty"` // nil: the defaults
}

// JumpHost is connector.JumpHost. Only the caller of the lease gets the key.
type JumpHost struct {
	Address  string      `json:"address"`
	Username string      `json:"username"`
	Key      secret.Text `json:"key"`
	HostKeys []string    `json:"host_keys"`
}

// WinRM is connector.WinRMOptions. None of it is secret.
type WinRM struct {
	Shell    string `json:"shell,omitempty"`
	Auth     string `json:"auth,omitempty"`
	CA       []byte `json:"ca,omitempty"`
	Insecure bool   `json:"insecure,omitempty"`
}

// Revoked says that the manager ended the lease.
type Revoked struct {
	Instance string `json:"instance"`
	Cause    string `json:"cause"` // a name of record.Cause
	Sentence string `json:"sentence"`
}

// ReleaseRequest releases a lease.
type ReleaseRequest struct {
	Runner string `json:"runner,omitempty"`
	Key    string `json:"key"`
	// Unhealthy says why the instance must not be used again. Empty: nothing is wrong with it.
	Unhealthy Unhealthy `json:"unhealthy,omitempty"`
	// Reason is Unhealthy in the caller's words, for the log and for `taskscaler explain`.
	Reason string `json:"reason,omitempty"`
}

// ReserveRequest makes a reservation of a slot, or cancels it. A lease of the same key uses the reservation. Otherwise it expires after
// reservation_deadline.
type ReserveRequest struct {
	Runner string `json:"runner,omitempty"`
	Key    string `json:"key"`
	Cancel bool   `json:"cancel,omitempty"` // give it up
}

// DrainRequest is the body of POST /v1/drain. The body is optional. The runner is in the query.
type DrainRequest struct {
	Undo bool `json:"undo,omitempty"` // end the drain: take new work again
}

// Unhealthy is the problem that a caller found with an instance.
type Unhealthy string

// The values of Unhealthy.
const (
	UnhealthyUnreachable    Unhealthy = "unreachable"
	UnhealthyChangedHostKey Unhealthy = "changed_host_key"
	// UnhealthyDoubtful: it did not answer in time, or the command may still run on it. It gets no new lease, and its other leases go on.
	UnhealthyDoubtful Unhealthy = "doubtful"
)

// Code classifies an APIError.
type Code string

// The codes.
const (
	CodeBadRequest     Code = "bad_request"
	CodeUnknownRequest Code = "unknown_request" // the manager has no such path, or not with this method
	CodeUnknownRunner  Code = "unknown_runner"  // there is no such runner, or several runners match
	CodeRefused        Code = "refused"         // this runner was not started; the message says why
	CodeUnknownKey     Code = "unknown_key"     // the key has no lease
	CodeDuplicateKey   Code = "duplicate_key"   // the key is in use
	CodeNoCapacity     Code = "no_capacity"     // no slot can be reserved
	CodeTimeout        Code = "timeout"         // no slot within instance_acquire_timeout
	CodeDraining       Code = "draining"        // no new work is taken
	CodeUndrained      Code = "undrained"       // the drain was undone before it was complete
	CodeShutdown       Code = "shutdown"        // the manager is shutting down
	CodeNotReady       Code = "not_ready"
	CodeBusy           Code = "busy" // the manager has as many clients as its limit of open files allows
	CodeInternal       Code = "internal"
)

// APIError is an error that the manager answered.
type APIError struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

// complete returns e with a code and a message, for an error that came without them.
func (e *APIError) complete() *APIError {
	full := APIError{}
	if e != nil { // else a nil pointer was wrapped as an error
		full = *e
	}
	if full.Code == "" {
		full.Code = CodeInternal
	}
	if strings.TrimSpace(full.Message) == "" {
		full.Message = fmt.Sprintf("the manager gave no reason (%s); its log may have more", full.Code)
	}
	return &full
}

// Error returns the manager's message.
func (e *APIError) Error() string { return e.Message }

// Is lets errors.Is(err, &APIError{Code: c}) compare only the code.
func (e *APIError) Is(target error) bool {
	t, ok := target.(*APIError)
	return ok && e != nil && t.Code == e.Code && t.Message == ""
}

// Errorf returns an *APIError. format and args are those of fmt.Sprintf.
func Errorf(code Code, format string, args ...any) *APIError {
	return &APIError{Code: code, Message: fmt.Sprintf(format, args...)}
}
