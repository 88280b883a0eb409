package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/internal/descriptors"
)

// ErrStopped says that Serve was stopped before the graceful shutdown ended.
var ErrStopped = errors.New("stopped at once: instances, leases and state stay for the next start")

// Serve starts the managers and the control API on l, and runs them. When soon ends, it shuts down gracefully: it grants no new leases, waits
// for the live leases (at most shutdown_timeout), deletes the instances if the file says so, and returns. When now ends, it returns ErrStopped
// at once and leaves everything as it is. If soon ends during the start, Serve returns nil at once. It closes l.
func Serve(now, soon context.Context, o Options, l *control.Listener) error {
	o.Socket = l.Path()
	d, err := newDaemon(o)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	server := control.NewServer(d, descriptors.ForClients(descriptors.Limit(), len(d.runners)), o.Logger)
	served := make(chan error, 1)
	go func() { // before the start: a plugin may take minutes for its Init, and a status says so
		defer close(served)
		served <- server.Serve(l)
	}()
	// stop also waits for Serve, which closes l: it may not have begun when the start fails, and the socket would stay.
	stop := func() error {
		err := server.Close()
		for range served {
		}
		return err
	}
	prepare, cancel := context.WithCancelCause(now)
	defer cancel(nil)
	defer context.AfterFunc(soon, func() { cancel(context.Cause(soon)) })()
	if err = d.begin(prepare, now); err != nil {
		if soon.Err() != nil && now.Err() == nil {
			o.Logger.Info("stopped during the start; no group was changed", "reason", err)
			err = nil
		}
		return errors.Join(err, stop())
	}
	o.Logger.Info("taskscaler is running", "socket", l.Path(), "runners", len(d.runners), "config", o.File.Path)
	err = d.run(now, soon, served)
	if errors.Is(err, ErrStopped) {
		// Wait for nothing. But close the listener first, so that no new caller can connect.
		return errors.Join(err, l.Close(), d.Abandon())
	}
	return errors.Join(err, stop())
}

// run returns when the daemon must end: after a graceful shutdown, or at once when now ends.
func (d *Daemon) run(now, soon context.Context, served <-chan error) error {
	cause := d.untilEnd(now, soon, served)
	ended := make(chan error, 1)
	go func() {
		// Only the time limit ends this context: when it ends, the shutdown revokes the leases and deletes their instances.
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

// untilEnd waits for a reason to end. It handles reloads while it waits.
func (d *Daemon) untilEnd(now, soon context.Context, served <-chan error) error {
	for {
		select {
		case <-soon.Done():
			d.opts.Logger.Info("shutting down: no new leases are granted, and the manager waits for the live leases; a second signal stops it at once", "timeout", d.opts.File.ShutdownTimeout)
			return nil
		case err := <-d.stopped:
			return fmt.Errorf("a manager stopped: %w", err)
		case err := <-served:
			return err
		case <-d.opts.Reload:
			d.reload(soon)
		}
	}
}

// patience returns a context that ends when the shutdown stops waiting for leases.
func (d *Daemon) patience() (context.Context, context.CancelFunc) {
	if t := d.opts.File.ShutdownTimeout; t > 0 {
		return context.WithTimeout(context.Background(), t)
	}
	return context.WithTimeout(context.Background(), maxPatience)
}

// maxPatience is used when shutdown_timeout is 0. No job runs longer.
const maxPatience = 30 * 24 * time.Hour
