package connector

import (
	"context"
	"time"
)

// cancelled ends the command and returns what Run returns then.
func (r *winrmRun) cancelled(cause error) error {
	defer r.closeStreams()
	if r.holdBack() { // main deletes the shell
		return &CancelError{Cause: cause, Ended: true}
	}
	ended := r.end()
	r.mu.Lock()
	defer r.mu.Unlock()
	e := &CancelError{Cause: cause, Ended: ended, Sent: true}
	if !ended {
		e.remains = remains{shell: r.shell}
	}
	return e
}

// end terminates the command and deletes its shell, with which every process in it ends. It reports whether the server confirmed that. If the server
// does not answer, it returns after limits.answer.
func (r *winrmRun) end() bool {
	defer r.stop(errNoAnswer)
	lim := r.client.dialer.limits
	began := time.Now()
	select { // the id of the command is on its way
	case <-r.started:
	case <-r.done:
	case <-time.After(lim.answer):
	}
	r.mu.Lock()
	shell, command, over := r.shell, r.command, r.over
	r.mu.Unlock()
	if over { // main deletes the shell
		r.awaitDone(lim.answer + lim.settle)
		return true
	}
	if shell == "" {
		return false
	}
	left := max(lim.answer-time.Since(began), lim.answer/4)
	if command != "" && r.terminate(left, shell, command) && r.awaitDone(lim.settle) { // with its last output
		r.mu.Lock()
		deleted := r.deleted
		r.mu.Unlock()
		if deleted {
			return true
		}
	}
	left = max(lim.answer-time.Since(began), lim.answer/4)
	if err := r.client.deleteWithin(left+lim.settle, shell); err != nil {
		r.client.dialer.log.Debug("the shell of a cancelled command could not be deleted", "error", err)
		return false
	}
	return true
}

// terminate reports whether the server answered.
func (r *winrmRun) terminate(limit time.Duration, shell, command string) bool {
	ctx, cancel := context.WithTimeoutCause(r.ctx, limit, errNoAnswer)
	defer cancel()
	if err := r.client.client.Terminate(ctx, shell, command); err != nil {
		r.client.dialer.log.Debug("a cancelled command could not be terminated", "error", err)
		return false
	}
	return true
}

// endUnlessOver waits for the end of a command whose stdin was closed. After grace it ends the command.
func (r *winrmRun) endUnlessOver(over <-chan struct{}) {
	timer := time.NewTimer(r.client.dialer.limits.grace)
	defer timer.Stop()
	select {
	case <-over:
	case <-timer.C:
		offer(r.broken, errConnClosed)
	}
}
