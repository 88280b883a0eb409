package main

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/conformance"
	"github.com/taskscaler/taskscaler/pkg/secret"

	"github.com/taskscaler/taskscaler/examples/plugin/cloud/fakeapi"
)

// failing lets the conformance suite break the API.
type failing struct{ *fakeapi.Server }

var _ conformance.API = failing{}

func (f failing) Mend() { f.Server.Break(nil) }

func (f failing) Requests() int {
	all, _ := f.Server.Requests()
	return all
}

func (f failing) Open() int {
	_, open := f.Server.Requests()
	return open
}

func (f failing) Break(fault conformance.APIFault) {
	f.Server.Break(func(w http.ResponseWriter, r *http.Request) bool {
		switch fault {
		case conformance.APIDown:
			panic(http.ErrAbortHandler) // the connection ends without an answer
		case conformance.APISlow:
			<-r.Context().Done()
		case conformance.APIHalf:
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"machines": [{"id":`))
			panic(http.ErrAbortHandler)
		default:
			w.Header().Set("Retry-After", strconv.Itoa(int(conformance.APIRetryAfter/time.Second)))
			w.WriteHeader(fault.Status())
		}
		return true
	})
}

// TestFaultsOfAPI: what the plugin makes of each fault of the API is what taskscaler needs to know.
func TestFaultsOfAPI(t *testing.T) {
	t.Parallel()
	_, server := withAPI(t)
	target := conformance.InProcess(func() provider.InstanceGroup {
		return &Group{Name: "ci", Max: 3, Endpoint: server.URL, Token: secret.New(fakeapi.Token)}
	}, false)
	report := conformance.Run(t.Context(), target, conformance.Options{
		Live: true, Machines: 3, Poll: 20 * time.Millisecond, API: failing{server}, Settings: provider.Settings{StateDir: t.TempDir()},
	})
	for _, r := range report.Results {
		if r.Status == conformance.Fail || r.Status == conformance.NotReached {
			t.Errorf("%s: %s %s %v", r.ID, r.Status, r.Reason, r.Findings)
		}
	}
	if len(report.Left) > 0 || report.Count(conformance.Pass) < 40 {
		t.Errorf("%d checks passed; left are %v", report.Count(conformance.Pass), report.Left)
	}
}
