package connector

import (
	"context"
	"time"
)

// Quick returns opts with short pauses between attempts and with these limits. slack is the limit for what a slow server does after KILL.
func Quick(opts DialOptions, attempt, answer, grace, slack time.Duration) DialOptions {
	l := defaultLimits()
	l.attempt, l.answer, l.grace, l.settle = attempt, answer, grace, slack
	l.firstBackoff, l.maxBackoff = 20*time.Millisecond, 200*time.Millisecond
	opts.limits = l
	return opts
}

// EndScript returns the script that ends a process tree, as it is sent to the server.
var EndScript = endScript

// ExamineWithin is Examine with another time limit.
func ExamineWithin(ctx context.Context, timeout time.Duration, failed error, dial func(context.Context, DialFunc) (Client, error)) (Finding, error) {
	return examine(ctx, timeout, time.Now(), failed, dial)
}

// ExamineLate is ExamineWithin in a process that was not run in the last minute.
func ExamineLate(ctx context.Context, timeout time.Duration, failed error, dial func(context.Context, DialFunc) (Client, error)) (Finding, error) {
	return examine(ctx, timeout, time.Now().Add(-time.Minute), failed, dial)
}

// LateAfter reports whether a process that was not run for this long counts as late.
func LateAfter(pause time.Duration) bool {
	c := &ownClock{start: time.Now().Add(-pause - clockTick)}
	c.ran(pause + clockTick)
	return c.late()
}

// WinRMCommand returns the line that cmd.exe gets over WinRM.
var WinRMCommand = winrmCommand

// The copies by PowerShell: over any Client, with the scripts and the command line as they are sent.
var (
	UploadPowerShell   = uploadPowerShell
	DownloadPowerShell = downloadPowerShell
	UploadScript       = bareScript(uploadPS1)
	DownloadScript     = bareScript(downloadPS1)
	UploadCommand      = copyCommand(uploadPS1)
	DownloadCommand    = copyCommand(downloadPS1)
	WindowsPath        = windowsPath
)

// LostWithProcess is the loss of a connection on which a command with this process id ran.
func LostWithProcess(pid int) *LostError {
	return &LostError{Started: true, Sent: true, Err: ErrKeepalive, remains: remains{pid: pid}}
}
