package plugin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/taskscaler/taskscaler/internal/safetext"
)

// classify returns a LaunchError that says why the plugin did not start. It uses what was observed, not go-plugin's error texts.
func classify(path string, r *runner, err, gaveUp, cancelled error) error {
	e := &LaunchError{Path: path, Err: err}
	if r == nil || r.pid.Load() == 0 {
		e.Reason, e.Detail = ReasonNotExecutable, "cannot be started"
		if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
			e.Reason, e.Detail = ReasonUnknown, "cannot be started, because all file descriptors are in use: raise the limit (LimitNOFILE, ulimit -n)"
		}
		if errors.Is(err, fs.ErrNotExist) && !noExecFormat(err) {
			e.Detail = "cannot be started: its interpreter or working directory is missing"
		}
		if why := unstartable(path, noExecFormat(err), errors.Is(err, fs.ErrNotExist)); why != "" {
			e.Detail, e.Err = why, nil
		}
		return e
	}
	exited := settled(r)
	e.Stderr = r.pump.last(lastWords)
	line, _, _ := strings.Cut(strings.TrimSpace(r.said()), "\n")
	line = r.pump.redact.text(line)
	version, isHandshake := handshakeVersion(line)
	switch {
	case cancelled != nil:
		e.Reason, e.Detail, e.Err = ReasonCancelled, "its start was cancelled", cancelled
	case isHandshake && version != fmt.Sprint(protocolVersion):
		e.Reason, e.Err = ReasonForeignProtocol, nil
		e.Detail = fmt.Sprintf("it speaks plugin protocol %s and this taskscaler speaks %d", version, protocolVersion)
	case isHandshake:
		e.Reason, e.Detail = ReasonUnknown, "the connection to it failed"
	case line != "":
		e.Reason, e.Detail, e.Err = ReasonNotAPlugin, fmt.Sprintf("it did not answer as a taskscaler plugin: it printed %s", safetext.Quote(line)), nil
	case gaveUp != nil:
		e.Reason, e.Detail, e.Err = ReasonStartTimeout, "it printed nothing within the start timeout and was killed", nil
	case wantsOtherHost(e.Stderr):
		e.Reason, e.Err = ReasonForeignProtocol, nil
		e.Detail = "it is a plugin of another program and does not know taskscaler"
		if module, version := builtWith(path, isFleeting); module != "" {
			e.Detail = fmt.Sprintf("it is GitLab's build of this plugin (made with %s %s), for another protocol than taskscaler's", module, version)
		}
	case exited && r.waitErr == nil:
		e.Reason, e.Detail, e.Err = ReasonNotAPlugin, "it did not answer as a taskscaler plugin: it ended at once and printed nothing", nil
	default:
		e.Reason, e.Detail, e.Err = ReasonExitedEarly, "it ended before it was ready", r.waitErr
	}
	return e
}

// settled waits until the process has ended and its output is read. go-plugin has already asked it to end.
func settled(r *runner) bool {
	select {
	case <-r.pumped:
	case <-time.After(killPatience):
		_ = r.Kill(context.Background())
	}
	select {
	case <-r.exited:
		return true
	case <-time.After(killPatience):
		return false
	}
}

// handshakeVersion returns the version of the application protocol in a go-plugin handshake line.
func handshakeVersion(line string) (string, bool) {
	m := regexp.MustCompile(`^\d+\|(\d+)\|(?:unix|tcp)\|`).FindStringSubmatch(line)
	if m == nil {
		return "", false
	}
	return m[1], true
}

// wantsOtherHost recognises the sentence that every go-plugin binary prints if another program than its host has started it. The binary
// checks the host's cookie first, so it prints nothing else.
func wantsOtherHost(stderr []string) bool {
	return strings.Contains(strings.Join(stderr, " "), "This binary is a plugin")
}
