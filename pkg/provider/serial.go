package provider

import (
	"context"

	"github.com/hashicorp/go-hclog"
)

// Serial returns a group that gives its calls to g one at a time, for a type that was written for one caller. It has the abilities of g and no others.
// plugin.Configure fills g itself, so the result can be passed to plugin.Main.
//
// A call waits for its turn. If its context ends while it waits, the error has KindThrottled: nothing was asked of the provider, and it says nothing about an
// instance. So a slow call of g delays all others, heartbeats and connect info too: a group with many instances should do without.
func Serial(g InstanceGroup) InstanceGroup { return &serial{group: g, turn: make(chan struct{}, 1)} }

// serial is a group whose calls take turns.
type serial struct {
	group InstanceGroup
	turn  chan struct{} // holds a value while a call runs
	info  ProviderInfo  // the answer of Init
}

var (
	_ InstanceGroup = (*serial)(nil)
	_ Heartbeater   = (*serial)(nil)
	_ Suspender     = (*serial)(nil)
	_ Describer     = (*serial)(nil)
)

// Unwrap returns the group that gets the calls.
func (s *serial) Unwrap() InstanceGroup { return s.group }

// Capabilities returns those of the group: see CapabilitiesOf.
func (s *serial) Capabilities() []Capability { return CapabilitiesOf(s.group) }

// take waits for the turn of a call, and returns the function that ends it.
func (s *serial) take(ctx context.Context) (end func(), err error) {
	if ctx.Err() != nil { // as the contract wants it
		return nil, context.Cause(ctx)
	}
	select {
	case s.turn <- struct{}{}:
		return func() { <-s.turn }, nil
	case <-ctx.Done():
		return nil, Errorf(KindThrottled, "the call waited for another one, which still runs, and the provider was not asked: %w", context.Cause(ctx))
	}
}

func (s *serial) Init(ctx context.Context, log hclog.Logger, settings Settings) (ProviderInfo, error) {
	end, err := s.take(ctx)
	if err != nil {
		return ProviderInfo{}, err
	}
	defer end()
	s.info, err = s.group.Init(ctx, log, settings)
	return s.info, err
}

func (s *serial) Update(ctx context.Context, update func(id string, state State)) error {
	end, err := s.take(ctx)
	if err != nil {
		return err
	}
	defer end()
	return s.group.Update(ctx, update)
}

func (s *serial) Increase(ctx context.Context, delta int) (succeeded int, err error) {
	end, err := s.take(ctx)
	if err != nil {
		return 0, err
	}
	defer end()
	return s.group.Increase(ctx, delta)
}

func (s *serial) Decrease(ctx context.Context, ids []string) (succeeded []string, err error) {
	return s.forIDs(ctx, ids, s.group.Decrease)
}

func (s *serial) ConnectInfo(ctx context.Context, id string) (ConnectInfo, error) {
	end, err := s.take(ctx)
	if err != nil {
		return ConnectInfo{}, err
	}
	defer end()
	return s.group.ConnectInfo(ctx, id)
}

func (s *serial) Shutdown(ctx context.Context) error {
	end, err := s.take(ctx)
	if err != nil {
		return err
	}
	defer end()
	return s.group.Shutdown(ctx)
}

// Heartbeat of a group without one says nothing about the instance. Nobody calls it who asks CapabilitiesOf.
func (s *serial) Heartbeat(ctx context.Context, id string) error {
	h, ok := s.group.(Heartbeater)
	if !ok {
		return Errorf(KindConfig, "this group has no heartbeat")
	}
	end, err := s.take(ctx)
	if err != nil {
		return err
	}
	defer end()
	return h.Heartbeat(ctx, id)
}

func (s *serial) Suspend(ctx context.Context, ids []string) (succeeded []string, err error) {
	if g, ok := s.group.(Suspender); ok {
		return s.forIDs(ctx, ids, g.Suspend)
	}
	return nil, &Error{Kind: KindConfig, Err: ErrSuspendResumeNotSupported}
}

func (s *serial) Resume(ctx context.Context, ids []string) (succeeded []string, err error) {
	if g, ok := s.group.(Suspender); ok {
		return s.forIDs(ctx, ids, g.Resume)
	}
	return nil, &Error{Kind: KindConfig, Err: ErrSuspendResumeNotSupported}
}

// Describe returns the answer of Init if the group does not know a later one.
func (s *serial) Describe(ctx context.Context) (ProviderInfo, error) {
	end, err := s.take(ctx)
	if err != nil {
		return ProviderInfo{}, err
	}
	defer end()
	if d, ok := s.group.(Describer); ok {
		return d.Describe(ctx)
	}
	return s.info, nil
}

func (s *serial) forIDs(ctx context.Context, ids []string, do func(context.Context, []string) ([]string, error)) ([]string, error) {
	end, err := s.take(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	return do(ctx, ids)
}
