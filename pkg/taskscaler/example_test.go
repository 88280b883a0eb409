package taskscaler_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// rack is a group that can have one instance, which runs as soon as it is requested.
type rack struct {
	mu   sync.Mutex // the manager calls from several goroutines
	runs bool
}

func (r *rack) Init(context.Context, hclog.Logger, provider.Settings) (provider.ProviderInfo, error) {
	return provider.ProviderInfo{ID: "rack/1", MaxSize: 1}, nil
}

func (r *rack) Update(_ context.Context, update func(string, provider.State)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.runs {
		update("machine-a", provider.StateRunning)
	}
	return nil
}

func (r *rack) Increase(context.Context, int) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs = true
	return 1, nil
}

func (r *rack) Decrease(_ context.Context, ids []string) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs = false
	return ids, nil
}

func (r *rack) ConnectInfo(_ context.Context, id string) (provider.ConnectInfo, error) {
	return provider.ConnectInfo{ID: id, InternalAddr: "192.0.2.7"}, nil
}

func (r *rack) Shutdown(context.Context) error { return nil }

// echo takes the place of a connection to the instance. It prints the command instead of running it.
type echo struct{ connector.Client }

func (echo) Run(_ context.Context, o connector.RunOptions) error {
	_, err := fmt.Fprintln(o.Stdout, "ran:", o.Command)
	return err
}

func (echo) Close() error { return nil }

func dialEcho(context.Context, provider.ConnectInfo, connector.DialOptions) (connector.Client, error) {
	return echo{}, nil
}

// A job reserves a slot, acquires it, runs a command on the instance, and releases the slot.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	// Keep one slot free. Remove an instance after ten minutes without a job, if the free slot does not need it.
	schedule, err := policy.Compile([]policy.Policy{{Settings: policy.Settings{IdleCount: 1, IdleTime: 10 * time.Minute}}}, time.UTC)
	if err != nil {
		fmt.Println(err)
		return
	}
	manager, err := taskscaler.New(ctx, &rack{}, taskscaler.Config{
		CapacityPerInstance: 2, MaxInstances: 1, Policies: schedule, ShutdownDeletionInterval: 100 * time.Millisecond,
		UpdateIntervalWhenExpecting: 10 * time.Millisecond,
		DeleteOnShutdown:            true,
	}, taskscaler.WithDialer(dialEcho)) // the default dialer connects over SSH
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { fmt.Println("shutdown:", manager.Shutdown(ctx)) }()

	if err := manager.Reserve(ctx, "job 4711"); err != nil {
		fmt.Println(err) // taskscaler.ErrNoCapacity: leave the job to others
		return
	}
	lease, err := manager.Acquire(ctx, "job 4711")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { fmt.Println("release:", lease.Release(context.Background())) }()
	fmt.Printf("slot %d of %s\n", lease.Slot(), lease.InstanceID())

	client, err := lease.Dial(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	var stdout printer
	if err := client.Run(ctx, connector.RunOptions{Command: "make test", Stdout: stdout}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// slot 0 of machine-a
	// ran: make test
	// release: <nil>
	// shutdown: <nil>
}

// printer prints the output of a job.
type printer struct{}

func (printer) Write(p []byte) (int, error) { return fmt.Print(string(p)) }
