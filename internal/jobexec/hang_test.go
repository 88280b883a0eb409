package jobexec

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
)

// freezer connects to the rig's manager. After freeze, new connections are accepted and never answered, as those of a stopped process.
type freezer struct {
	rig    *rig
	frozen atomic.Bool
}

func (f *freezer) dial(ctx context.Context) (net.Conn, error) {
	if !f.frozen.Load() {
		var d net.Dialer
		return d.DialContext(ctx, "unix", f.rig.path)
	}
	ours, theirs := net.Pipe()
	f.rig.t.Cleanup(func() { _ = theirs.Close() })
	go func() {
		for buf := make([]byte, 1024); ; {
			if _, err := theirs.Read(buf); err != nil {
				return
			}
		}
	}()
	return ours, nil
}

// TestTimeoutOfAManagerThatHangs: --timeout is the only deadline, whatever the job was waiting for when the manager stopped to answer. There is one
// message, and the exit code is that of the time-out.
func TestTimeoutOfAManagerThatHangs(t *testing.T) {
	for _, tt := range []struct {
		name   string
		slots  int
		freeze func(r *rig, f *freezer)
		want   []string
		notes  string // the only thing that may be said before the end
	}{
		{"while the job waits", 0, func(r *rig, f *freezer) { r.await("acquire k"); f.frozen.Store(true) },
			[]string{"no slot was leased", "the time of --timeout has passed"}, "waiting "},
		{"while the command runs", 1, func(r *rig, f *freezer) { <-r.started; f.frozen.Store(true) },
			[]string{"the command was ended: the time of --timeout has passed"}, "the slot could not be released; the manager revokes the lease"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, tt.slots)
			f := &freezer{rig: r}
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			done := make(chan outcome, 1)
			go func() {
				code, err := Run(ctx, control.NewClientWithDialer(r.path, f.dial), r.job("sleep", "300"))
				done <- outcome{code, err}
			}()
			tt.freeze(r, f)
			began := time.Now()
			cancel(ErrTimeout)
			got := <-done
			if late := time.Since(began); late > releasePatient/2 {
				t.Errorf("exec ended %s after its time-out", late)
			}
			if got.code != ExitTimeout || got.err == nil {
				t.Fatalf("exit code %d, %v", got.code, got.err)
			}
			for _, part := range tt.want {
				if !strings.Contains(got.err.Error(), part) {
					t.Errorf("%q lacks %q", got.err, part)
				}
			}
			for line := range strings.Lines(r.stderr.String()) {
				if tt.notes == "" || !strings.HasPrefix(line, "taskscaler: "+tt.notes) {
					t.Errorf("it also said: %s", line)
				}
			}
		})
	}
}
