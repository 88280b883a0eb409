package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
)

// ErrStopped says that Serve was stopped before the drain was over.
var ErrStopped = errors.New("stopped at once: instances, leases and state stay as they are for the next start")

// Serve starts the managers and the control API on l, and runs them. When soon ends, it drains: no new leases, the live ones are waited
// for (at most shutdown_timeout), instances are deleted where the file says so; it then returns. When now ends, it returns at once, with
// ErrStopped, and leaves everything as it is. It closes l.
func Serve(now, soon context.Context, o Options, l *control.Listener) error {
	o.Socket = l.Path()
	d, err := Start(now, o)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	server := control.NewServer(d, o.Logger)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	o.Logger.Info("taskscaler runs", "socket", l.Path(), "runners", len(d.runners), "config", o.File.Path)
	err = d.run(now, soon, served)
	if errors.Is(err, ErrStopped) {
		// Nothing is waited for, but the listener goes first, so that nobody is let in any more.
		return errors.Join(err, l.Close(), d.Abandon())
	}
	return errors.Join(err, server.Close()) // which closes l
}

// run returns when the daemon is to end, and has drained if it could.
func (d *Daemon) run(now, soon context.Context, served <-chan error) error {
	cause := d.untilEnd(now, soon, served)
	ended := make(chan error, 1)
	go func() {
		// Nothing ends this early: the end of its patience is what makes a shutdown revoke leases and delete their instances.
		ctx, cancel := d.patience()
		defer cancel()
		ended <- d.Shutdown(ctx)
	}()
	select {
	case err := <-ended:
		return errors.Join(cause, err)
	case <-now.Done():
		return errors.Join(cause, ErrStopped)
	}
}

// untilEnd waits until there is a reason to end, and reloads meanwhile.
func (d *Daemon) untilEnd(now, soon context.Context, served <-chan error) error {
	for {
		select {
		case <-soon.Done():
			d.opts.Logger.Info("draining: no new leases are given; a second signal stops at once", "timeout", d.opts.File.ShutdownTimeout)
			return nil
		case err := <-d.stopped:
			return fmt.Errorf("a manager stopped by itself: %w", err)
		case err := <-served:
			return err
		case <-d.opts.Reload:
			d.reload(now)
		}
	}
}

// patience bounds how long leases are waited for.
func (d *Daemon) patience() (context.Context, context.CancelFunc) {
	if t := d.opts.File.ShutdownTimeout; t > 0 {
		return context.WithTimeout(context.Background(), t)
	}
	return context.WithTimeout(context.Background(), maxPatience)
}

// maxPatience is for files without shutdown_timeout: no job runs longer.
const maxPatience = 30 * 24 * time.Hour
