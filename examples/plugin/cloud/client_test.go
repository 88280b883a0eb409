package cloud_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/secret"

	"github.com/taskscaler/taskscaler/examples/plugin/cloud"
	"github.com/taskscaler/taskscaler/examples/plugin/cloud/fakeapi"
)

// TestKinds: what the API answers becomes the kind by which taskscaler decides.
func TestKinds(t *testing.T) {
	server := fakeapi.Start()
	defer server.Close()
	client := cloud.NewClient(server.URL, secret.New(fakeapi.Token), time.Minute)
	defer client.Close()
	for _, c := range []struct {
		status int
		body   string
		want   provider.FailureKind
	}{
		{401, ``, provider.KindConfig}, {403, `{"code": "forbidden"}`, provider.KindConfig}, {403, `{"code": "quota_exceeded", "message": "4 machines"}`, provider.KindQuota},
		{404, ``, provider.KindConfig}, {409, ``, provider.KindTransient}, {409, `{"code": "out_of_stock", "message": "no large ones"}`, provider.KindCapacity},
		{429, ``, provider.KindThrottled}, {500, `<html>`, provider.KindTransient}, {503, `{"code": "out_of_stock", "message": "no large ones"}`, provider.KindCapacity},
		{200, `{"machines": [{"id": "half`, provider.KindTransient}, {200, `[]`, provider.KindTransient},
	} {
		server.Break(func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Retry-After", "9")
			w.WriteHeader(c.status)
			fmt.Fprint(w, c.body)
			return true
		})
		_, err := client.List(t.Context(), nil)
		f := provider.FailureOf(err)
		if f.Kind != c.want || (f.RetryAfter == 9*time.Second) != (c.status == 429) {
			t.Errorf("%d %s: %+v, want %v", c.status, c.body, f, c.want)
		}
	}
	server.Break(nil)
	if _, err := client.Get(t.Context(), "a/../b?"); provider.KindOf(err) != provider.KindNotFound {
		t.Errorf("an id that looks like a path: %v", err)
	}
	wrong := cloud.NewClient(server.URL, secret.New("another"), time.Minute)
	defer wrong.Close()
	if err := wrong.Create(t.Context(), cloud.Spec{Name: "x"}); provider.KindOf(err) != provider.KindConfig {
		t.Errorf("a token that is not known: %v", err)
	}
	closed := fakeapi.Start()
	closed.Close()
	gone := cloud.NewClient(closed.URL, secret.New("x"), time.Minute)
	if err := gone.Delete(t.Context(), "x"); provider.KindOf(err) != provider.KindTransient {
		t.Errorf("nobody answers: %v", err)
	}
}

func TestCheckEndpoint(t *testing.T) {
	for endpoint, good := range map[string]bool{
		"https://api.example.com/v1": true, "http://127.0.0.1:8080": true, "": false, "api.example.com": false, "ftp://x": false, "https://": false,
		"https://u:p@x": false, "https://x?token=1": false,
	} {
		if err := cloud.CheckEndpoint(endpoint); (err == nil) != good {
			t.Errorf("%q: %v", endpoint, err)
		}
	}
}
