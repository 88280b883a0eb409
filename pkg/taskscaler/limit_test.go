package taskscaler

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// elasticGroup is a group whose limit changes while it is in use.
type elasticGroup struct {
	*testGroup
	now  func() (provider.ProviderInfo, error) // what Describe says
	said provider.ProviderInfo                 // what the plugin said in its latest Init
}

func (g *elasticGroup) Describe(context.Context) (provider.ProviderInfo, error) { return g.now() }

func (g *elasticGroup) Info() provider.ProviderInfo {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.said
}

// TestProvidersLimitChanges: a reload asks for the provider's limit again, and the Init of a new plugin process tells it too. A failure, or
// the description of another group, changes nothing.
func TestProvidersLimitChanges(t *testing.T) {
	bubble(t, func(t *testing.T) {
		info := provider.ProviderInfo{ID: "test/group", MaxSize: 1}
		var failing error
		g := &elasticGroup{testGroup: newGroup(), said: info, now: func() (provider.ProviderInfo, error) { return info, failing }}
		g.max = 1
		f := start(t, option(func(f *fixture) { f.group, f.as = g.testGroup, g }))
		defer f.end()
		limit := func(want int) {
			t.Helper()
			f.until("the limit", func() bool {
				core, err := query(t.Context(), f.Taskscaler, func(l *loop) int { return l.core.Summary().MaxInstances })
				return err == nil && core == want && f.status().Group.MaxSize == want && f.Capacity().Instances == want
			})
		}
		limit(1)
		small := func(want int) {
			t.Helper()
			if got := strings.Count(f.log.String(), "fewer instances than max_instances allows"); got != want {
				t.Errorf("the log says %d times that the group is too small, want %d", got, want)
			}
		}
		small(1)
		reload := func() {
			t.Helper()
			if err := f.Reload(t.Context(), *f.config()); err != nil {
				t.Fatal(err)
			}
		}
		info.MaxSize = 3
		reload()
		limit(3)
		small(2)
		g.change(func() { g.said.MaxSize = 3 })
		failing = errors.New("no answer")
		reload()
		limit(3)
		failing, info.ID = nil, "another"
		reload()
		limit(3)
		g.change(func() { g.said.MaxSize = 2 })
		limit(2)
		f.until("the warning", func() bool { return strings.Contains(f.log.String(), "group_limit=2 max_instances=4") })
		info = provider.ProviderInfo{ID: "test/group", MaxSize: 4}
		told := strings.Count(f.log.String(), "fewer instances than max_instances allows")
		reload()
		limit(4)
		small(told)
	})
}

// TestListsDoNotWaitForAReload: a reload waits for the plugin, for as long as an Init may take. Lists go on meanwhile: jobs boot and end.
func TestListsDoNotWaitForAReload(t *testing.T) {
	bubble(t, func(t *testing.T) {
		info := provider.ProviderInfo{ID: "test/group", MaxSize: 1}
		entered, goOn := make(chan struct{}), make(chan struct{})
		g := &elasticGroup{testGroup: newGroup(), said: info, now: func() (provider.ProviderInfo, error) {
			close(entered)
			<-goOn
			return info, nil
		}}
		f := start(t, option(func(f *fixture) { f.group, f.as = g.testGroup, g }))
		defer f.end()
		lists := func() uint64 {
			n, err := query(t.Context(), f.Taskscaler, func(l *loop) uint64 { return uint64(l.core.Summary().Lists) })
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		done := make(chan error, 1)
		go func() { done <- f.Reload(t.Context(), *f.config()) }()
		<-entered
		before := lists()
		f.until("three more lists", func() bool { return lists() >= before+3 })
		close(goOn)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
