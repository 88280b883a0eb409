package main

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/providertest"
	"github.com/taskscaler/taskscaler/pkg/secret"

	"github.com/taskscaler/taskscaler/examples/plugin/cloud"
	"github.com/taskscaler/taskscaler/examples/plugin/cloud/fakeapi"
	"github.com/taskscaler/taskscaler/examples/plugin/local"
)

// TestMain lets this test binary be a machine, as the plugin's binary is one.
func TestMain(m *testing.M) {
	if dir := local.MachineDir(os.Args); dir != "" {
		os.Exit(local.RunMachine(dir))
	}
	os.Exit(m.Run())
}

// again returns another group with the configuration of old.
func again(_ *testing.T, old provider.InstanceGroup) provider.InstanceGroup {
	g := old.(*Group)
	return &Group{Name: g.Name, Max: g.Max, Dir: g.Dir, Endpoint: g.Endpoint, Token: g.Token}
}

// TestConformanceOfProcesses checks the contract with real machines.
func TestConformanceOfProcesses(t *testing.T) {
	t.Parallel()
	providertest.Run(t, providertest.Options{
		New: func(t *testing.T) provider.InstanceGroup {
			return &Group{Name: "ci", Max: 3, Dir: filepath.Join(t.TempDir(), "machines")}
		},
		Reopen:   again,
		Settings: provider.Settings{StateDir: t.TempDir()},
	})
}

// TestConformanceOfAPI checks the contract with the API.
func TestConformanceOfAPI(t *testing.T) {
	t.Parallel()
	providertest.Run(t, providertest.Options{
		New: func(t *testing.T) provider.InstanceGroup {
			g, _ := withAPI(t)
			return g
		},
		Reopen:   again,
		Settings: provider.Settings{StateDir: t.TempDir()},
	})
}

// withAPI returns a group before its Init, and its cloud.
func withAPI(t *testing.T) (*Group, *fakeapi.Server) {
	t.Helper()
	server := fakeapi.Start()
	server.Max = 4
	t.Cleanup(server.Close)
	return &Group{Name: "ci", Endpoint: server.URL, Token: secret.New(fakeapi.Token)}, server
}

func start(t *testing.T, g *Group) *Group {
	t.Helper()
	if _, err := g.Init(t.Context(), hclog.NewNullLogger(), provider.Settings{StateDir: t.TempDir()}); err != nil {
		t.Fatalf("Init: %v", err)
	}
	t.Cleanup(func() {
		if err := g.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return g
}

// TestFaults: Init names every fault of the configuration at once.
func TestFaults(t *testing.T) {
	g := &Group{Name: "CI", Max: -1, Endpoint: "ftp://x", Timeout: -1}
	_, err := g.Init(t.Context(), hclog.NewNullLogger(), provider.Settings{})
	if provider.KindOf(err) != provider.KindConfig {
		t.Fatalf("Init: %v", err)
	}
	for _, key := range []string{"name", "max_size", "endpoint", "token", "timeout"} {
		if !strings.Contains(err.Error(), key+" ") {
			t.Errorf("%s is not named: %v", key, err)
		}
	}
}

// TestMachinesOfOthers: what does not have the labels of the group is neither listed nor deleted, even if the cloud lists it.
func TestMachinesOfOthers(t *testing.T) {
	g, server := withAPI(t)
	start(t, g)
	server.Add(cloud.Machine{ID: "web-1", State: "running", Labels: map[string]string{"team": "web"}})
	server.Break(func(_ http.ResponseWriter, r *http.Request) bool {
		r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, "labels=", "ignored=") // hasLabels then lacks a term, and everything is listed
		return false
	})
	if err := g.Update(t.Context(), func(id string, _ provider.State) { t.Errorf("%s is listed", id) }); err != nil {
		t.Error(err)
	}
	if _, err := g.Decrease(t.Context(), []string{"web-1"}); err != nil || server.Len() != 1 {
		t.Errorf("%v, %d machines are left", err, server.Len())
	}
}

// TestHalfAList: if the second page fails, the list fails.
func TestHalfAList(t *testing.T) {
	g, server := withAPI(t)
	start(t, g)
	if n, err := g.Increase(t.Context(), 3); n != 3 || err != nil {
		t.Fatalf("Increase: %d, %v", n, err)
	}
	server.Break(func(w http.ResponseWriter, r *http.Request) bool {
		if r.FormValue("page") == "2" {
			w.WriteHeader(http.StatusBadGateway)
		}
		return r.FormValue("page") == "2"
	})
	if err := g.Update(t.Context(), func(string, provider.State) {}); provider.KindOf(err) != provider.KindTransient || err == nil {
		t.Errorf("Update: %v", err)
	}
}

// TestQuota: a part of an Increase succeeds, and the error says why the rest did not.
func TestQuota(t *testing.T) {
	g, _ := withAPI(t)
	start(t, g)
	n, err := g.Increase(t.Context(), 6)
	if n != 4 || provider.KindOf(err) != provider.KindQuota {
		t.Errorf("Increase: %d, %v", n, err)
	}
	var ids []string
	if err := g.Update(t.Context(), func(id string, _ provider.State) { ids = append(ids, id) }); err != nil || len(ids) != 4 {
		t.Errorf("Update: %v, %v", ids, err)
	}
	gone, err := g.Decrease(t.Context(), append(ids, ids[0], "unknown"))
	if slices.Sort(gone); err != nil || len(gone) != 5 {
		t.Errorf("Decrease: %v, %v", gone, err)
	}
}
