package outsider

import (
	"context"
	"fmt"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// rack is an in-process provider whose machines run at once. It outlives managers, as a cloud does.
type rack struct {
	mu       sync.Mutex
	next     int
	machines map[string]bool
}

var _ provider.InstanceGroup = (*rack)(nil)

func (r *rack) Init(context.Context, hclog.Logger, provider.Settings) (provider.ProviderInfo, error) {
	return provider.ProviderInfo{ID: "rack/1", MaxSize: 4}, nil
}

func (r *rack) Update(_ context.Context, update func(string, provider.State)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range r.machines {
		update(id, provider.StateRunning)
	}
	return nil
}

func (r *rack) Increase(_ context.Context, n int) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range n {
		r.next++
		r.machines[fmt.Sprintf("machine-%d", r.next)] = true
	}
	return n, nil
}

func (r *rack) Decrease(_ context.Context, ids []string) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		delete(r.machines, id)
	}
	return ids, nil
}

func (r *rack) ConnectInfo(_ context.Context, id string) (provider.ConnectInfo, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.machines[id] {
		return provider.ConnectInfo{}, provider.Errorf(failure.NotFound, "no machine %s", id)
	}
	return provider.ConnectInfo{ID: id, InternalAddr: "192.0.2.7"}, nil
}

func (r *rack) Shutdown(context.Context) error { return nil }

func (r *rack) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.machines)
}

// dial stands for SSH: the client says what it would run, and where.
func dial(_ context.Context, info provider.ConnectInfo, _ connector.DialOptions) (connector.Client, error) {
	return client{id: info.ID}, nil
}

type client struct {
	connector.Client // the methods that are not used here
	id               string
}

func (c client) Run(_ context.Context, o connector.RunOptions) error {
	_, err := fmt.Fprintf(o.Stdout, "%s runs %s\n", c.id, o.Command)
	return err
}

func (client) Close() error { return nil }
