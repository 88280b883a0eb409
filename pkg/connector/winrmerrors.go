package connector

import (
	"errors"
	"fmt"
)

// Errors of Dial over WinRM that are not retried.
var (
	// ErrNoPassword means that ConnectInfo has no password, which WinRM needs.
	ErrNoPassword = errors.New("WinRM needs a password: set password in connector_config, or let the plugin report one")
	// ErrPlainBasic means that Basic was asked for without TLS.
	ErrPlainBasic = errors.New("a login with Basic over plain http shows the password to the network: set protocol = \"winrm+https\" or winrm_auth = \"ntlm\" in " +
		"connector_config, or accept that with winrm_insecure = true")

	// errBasicOnly is ErrPasswordOnly in the words of WinRM.
	errBasicOnly error = &basicOnlyError{}
)

type basicOnlyError struct{}

func (*basicOnlyError) Error() string {
	return "Basic does not send the password to a machine whose certificate is unknown: set winrm_auth = \"ntlm\" or winrm_ca_file in connector_config, let " +
		"the plugin report the certificate, or set password_without_host_key = true"
}

func (*basicOnlyError) Is(target error) bool { return target == ErrPasswordOnly }

// NoTunnelError means that Client.Dial was called over WinRM, which has no tunnels.
type NoTunnelError struct {
	Address       string // of the instance
	Network, Addr string // what was asked for
}

// Error says what to use instead.
func (e *NoTunnelError) Error() string {
	return fmt.Sprintf("cannot connect to %s %s from %s: WinRM has no tunnels: start a command that connects its stdin and stdout to it (DialRun, such as "+
		"`docker system dial-stdio`), or set protocol = \"ssh\" in connector_config", e.Network, e.Addr, e.Address)
}

// CommandTextError means that a command line or an environment variable cannot be sent unchanged over WinRM. Nothing was sent.
type CommandTextError struct {
	Reason string // what is wrong, and what to do
}

// Error returns the reason. It never quotes the command.
func (e *CommandTextError) Error() string {
	return "the command cannot be sent over WinRM: " + e.Reason
}

// SettingError means that a setting of WinRM cannot be used. Nothing was sent.
type SettingError struct {
	Reason string // which one, what is wrong, and what to do
}

// Error returns the reason.
func (e *SettingError) Error() string { return e.Reason }
