package conformance

import (
	"context"

	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// InProcess returns a target of groups in this process. make returns a group before its Init. Each call of it must return another value for the same group,
// with the same machines; if it cannot, set once: the group is then opened only once.
func InProcess(open func() provider.InstanceGroup, once bool) Target {
	t := inProcess{open}
	if once {
		return t
	}
	return again{t}
}

type inProcess struct{ open func() provider.InstanceGroup }

type again struct{ inProcess }

type value struct {
	group provider.InstanceGroup
	info  provider.ProviderInfo
}

var (
	_ Target   = inProcess{}
	_ Reopener = again{}
	_ Handle   = value{}
)

// Open implements Target.
func (t inProcess) Open(ctx context.Context, settings provider.Settings) (Handle, error) {
	g := t.open()
	info, err := g.Init(ctx, hclog.NewNullLogger(), settings)
	if err != nil {
		return nil, err
	}
	return value{g, info}, nil
}

// Reopen implements Reopener.
func (t again) Reopen(ctx context.Context, settings provider.Settings) (Handle, error) {
	return t.Open(ctx, settings)
}

// Group implements Handle.
func (v value) Group() provider.InstanceGroup { return v.group }

// Info implements Handle.
func (v value) Info() provider.ProviderInfo { return v.info }

// Close implements Handle.
func (v value) Close(ctx context.Context) error { return v.group.Shutdown(ctx) }
