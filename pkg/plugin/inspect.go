package plugin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/safetext"
)

// inspect checks the executable before it is started.
func inspect(path, sum string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &LaunchError{Path: path, Reason: ReasonNotFound, Detail: fmt.Sprintf("there is no file %s", path)}
	case err != nil:
		return &LaunchError{Path: path, Reason: ReasonNotExecutable, Detail: "cannot be accessed", Err: err}
	case info.IsDir():
		return &LaunchError{Path: path, Reason: ReasonNotExecutable, Detail: fmt.Sprintf("%s is a folder", path)}
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o111 == 0:
		return &LaunchError{Path: path, Reason: ReasonNotExecutable, Detail: fmt.Sprintf("%s is not executable: chmod +x %s", path, path)}
	case sum == "":
		return nil
	}
	got, err := fileSHA256(path)
	if err != nil {
		return &LaunchError{Path: path, Reason: ReasonNotExecutable, Detail: "cannot be read to check plugin_sha256", Err: err}
	}
	if !strings.EqualFold(got, strings.TrimSpace(sum)) {
		return &LaunchError{Path: path, Reason: ReasonChecksum, Detail: fmt.Sprintf(
			"%s has the SHA-256 sum %s, but plugin_sha256 is %s; it was not started", path, got, strings.TrimSpace(sum))}
	}
	return nil
}

func fileSHA256(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// classify returns a LaunchError that says why the plugin did not start. It uses what was observed, not go-plugin's error texts.
func classify(path string, r *runner, err, gaveUp, cancelled error) error {
	e := &LaunchError{Path: path, Err: err}
	if r == nil || r.pid.Load() == 0 {
		e.Reason, e.Detail = ReasonNotExecutable, "cannot be started"
		if errors.Is(err, fs.ErrNotExist) && !noExecFormat(err) {
			e.Detail = "cannot be started: its interpreter or working directory is missing"
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
		e.Detail = "it is a plugin of another program (GitLab's build of the same name, perhaps) and does not know taskscaler"
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
