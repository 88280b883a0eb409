package connector

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// end ends the remote command after a cancellation, and reports whether its end was observed. If the server does not answer, it returns
// after limits.answer. It takes longest for processes that survive KILL on a server that answers slowly.
func (r *run) end() (ended bool) {
	defer r.closeStreams()
	if r.holdBack() {
		return true
	}
	defer r.drop()
	pid, known := r.awaitPID()
	frozen := r.mark != "" && !known
	if known {
		err := r.endGroup(pid)
		if err == nil {
			r.awaitDone(r.client.dialer.limits.settle) // until the last output has arrived
			return true
		}
		r.client.dialer.log.Debug("the process group could not be ended from a second session", "error", err)
		frozen = errors.Is(err, errNoAnswer)
	}
	return r.endBySignals(frozen)
}

// awaitPID waits for the process id. It gives up when the command has ended, or after limits.answer.
func (r *run) awaitPID() (pid int, known bool) {
	if r.mark == "" {
		return 0, false
	}
	timer := time.NewTimer(r.client.dialer.limits.answer)
	defer timer.Stop()
	select {
	case pid := <-r.pid:
		return pid, true
	case <-r.done:
	case <-timer.C:
	}
	return 0, false
}

func (r *run) awaitDone(limit time.Duration) bool { return closedWithin(r.done, limit) }

// endBySignals uses the signals of the SSH protocol. It sends both at once to a server that does not answer, in case it recovers.
func (r *run) endBySignals(frozen bool) bool {
	lim := r.client.dialer.limits
	r.signal(ssh.SIGTERM)
	if frozen || !r.awaitDone(lim.grace) {
		r.signal(ssh.SIGKILL)
		if !frozen {
			r.awaitDone(lim.settle)
		}
	}
	select {
	case <-r.done:
		var lost *LostError
		return !errors.As(r.err, &lost)
	default:
		return false
	}
}

// signal sends sig without waiting: a write to a server that does not answer may block.
func (r *run) signal(sig ssh.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.session; s != nil {
		go func() { _ = s.Signal(sig) }()
	}
}

// drop closes the session. A session that is started later is ended at once.
func (r *run) drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dropped = true
	if s := r.session; s != nil {
		go func() { _ = s.Close() }()
	}
}

var errNoAnswer = errors.New("the server does not answer")

// endGroup runs endScript in a second session, or on a second connection if the server refuses a second session.
func (r *run) endGroup(pid int) error {
	lim := r.client.dialer.limits
	ctx, cancel := context.WithTimeoutCause(context.Background(), lim.answer+lim.grace+lim.settle, errNoAnswer)
	defer cancel()
	command := endScript(pid, lim.grace, lim.settle)
	err := runBriefly(ctx, r.client.conn, command, lim.answer)
	if err == nil || errors.Is(err, errNoAnswer) {
		return err
	}
	r.client.dialer.log.Debug("no second session for ending the command, trying a second connection", "error", err)
	dialCtx, stop := context.WithTimeoutCause(ctx, lim.answer, errNoAnswer)
	defer stop()
	conn, err := r.client.dialer.attempt(dialCtx)
	if err != nil {
		return fmt.Errorf("second connection: %w", err)
	}
	defer func() { _ = conn.Close() }()
	return runBriefly(ctx, conn, command, lim.answer)
}

// runBriefly runs a command without streams. The server must start it within answer.
func runBriefly(ctx context.Context, conn *ssh.Client, command string, answer time.Duration) error {
	started, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		session, err := conn.NewSession()
		if err != nil {
			ended <- err
			return
		}
		defer func() { _ = session.Close() }()
		if err := session.Start(command); err != nil {
			ended <- err
			return
		}
		close(started)
		ended <- session.Wait()
	}()
	timer := time.NewTimer(answer)
	defer timer.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-started:
			started = nil
			timer.Stop()
		case <-timer.C:
			return errNoAnswer
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// pollSteps is how many times per second the script checks whether the processes are gone.
const pollSteps = 20

// endScript returns a command that ends process pid, its process group and all their descendants: TERM, then KILL after grace. Its exit
// code is 0 when they are gone. It needs only a POSIX shell and /proc or ps. Its text has no single quotes and no newlines, so that any
// login shell can pass it to sh.
//
// scan lists "pid ppid pgid state". m collects all processes that ever belonged to the tree, so that it does not lose a child whose parent
// has ended. g holds the running processes of the group, l the running processes outside it; zombies are in neither. A group gets TERM
// once and as a group, because many programs exit without cleanup after a second TERM.
func endScript(pid int, grace, settle time.Duration) string {
	steps := func(d time.Duration) int { return int(d.Seconds() * pollSteps) }
	script := []string{
		fmt.Sprintf(`p=%d; m=" $p "`, pid),
		`scan() { if [ -r /proc/self/stat ]; then for d in /proc/[0-9]*; do { read -r x <$d/stat; } 2>/dev/null || continue`,
		`set -- ${x##*) }; echo ${d#/proc/} ${2:-0} ${3:-0} ${1:-Z}; done; else ps -A -o pid= -o ppid= -o pgid= -o state=; fi; }`,
		`look() { a=$(scan); n=1; while [ $n = 1 ]; do n=0; set -- $a; while [ $# -gt 3 ]; do case "$m" in *" $1 "*) ;; *) if [ $3 = $p ]`,
		`then m="$m$1 "; n=1; else case "$m" in *" $2 "*) m="$m$1 "; n=1;; esac; fi;; esac; shift 4; done; done`,
		`g=; l=; set -- $a; while [ $# -gt 3 ]; do case $4 in [ZX]*) ;; *) case "$m" in *" $1 "*) if [ $3 = $p ]`,
		`then g="$g $1"; else l="$l $1"; fi;; esac;; esac; shift 4; done; [ -n "$g$l" ]; }`,
		`hit() { if [ -n "$g" ]; then kill -s $1 -- -$p || kill -s $1 $g; fi; for q in $l; do kill -s $1 $q; done; } 2>/dev/null`,
		`nap() { sleep 0.05 2>/dev/null && i=$((i+1)) || { sleep 1; i=$((i+20)); }; }`,
		fmt.Sprintf(`i=0; look && hit TERM; while look && [ $i -lt %d ]; do nap; done`, steps(grace)),
		fmt.Sprintf(`i=0; while look && [ $i -lt %d ]; do hit KILL; nap; done`, steps(settle)),
		`look && exit 1; exit 0`,
	}
	return "sh -c '" + strings.Join(script, "; ") + "'"
}
