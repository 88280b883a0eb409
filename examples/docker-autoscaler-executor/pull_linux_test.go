package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/taskscaler/taskscaler/examples/runner"
)

// registry serves one image over the protocol of Docker registries, read-only and without a login. Engines allow http to loopback addresses.
type registry struct {
	*httptest.Server
	manifest []byte
	blobs    map[string][]byte
	asked    atomic.Int64 // requests for a manifest
	onBlob   func()       // is called before a blob is sent; nil: nothing
}

const manifestType = "application/vnd.docker.distribution.manifest.v2+json"

// startRegistry serves tool:1 until the test ends.
func startRegistry(t *testing.T) *registry {
	t.Helper()
	busybox, err := staticBusybox()
	skipWithout(t, err)
	files, err := layer(busybox)
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(files)
	_ = w.Close()
	r := &registry{blobs: map[string][]byte{}}
	blob := func(content []byte, mediaType string) map[string]any {
		r.blobs[digest(content)] = content
		return map[string]any{"mediaType": mediaType, "size": len(content), "digest": digest(content)}
	}
	config := encode(t, map[string]any{"os": "linux", "architecture": runtime.GOARCH,
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{digest(files)}},
		// The label makes it another image for each registry, of which the engine cannot have a part already.
		"config": map[string]any{"Entrypoint": []string{"/bin/false"}, "Labels": map[string]string{"of": rand.Text()}}})
	r.manifest = encode(t, map[string]any{"schemaVersion": 2, "mediaType": manifestType,
		"config": blob(config, "application/vnd.docker.container.image.v1+json"),
		"layers": []any{blob(packed.Bytes(), "application/vnd.docker.image.rootfs.diff.tar.gzip")}})
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func digest(content []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(content)) }

func encode(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (r *registry) image() string { return strings.TrimPrefix(r.URL, "http://") + "/tool:1" }

func (r *registry) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	name, ok := strings.CutPrefix(q.URL.Path, "/v2/tool/blobs/")
	switch {
	case q.URL.Path == "/v2/":
	case q.URL.Path == "/v2/tool/manifests/1", q.URL.Path == "/v2/tool/manifests/"+digest(r.manifest):
		r.asked.Add(1)
		w.Header().Set("Content-Type", manifestType)
		w.Header().Set("Docker-Content-Digest", digest(r.manifest))
		_, _ = w.Write(r.manifest)
	case ok && r.blobs[name] != nil:
		if r.onBlob != nil {
			r.onBlob()
		}
		_, _ = w.Write(r.blobs[name])
	default:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"123"}}]}`))
	}
}

func TestPullPolicies(t *testing.T) {
	t.Parallel()
	r := startRegistry(t)
	s := newStage(t, sharedDockerd(t), Executor{PullPolicy: ifNotPresent})
	run := func(policy string) {
		s.runner.Executor.(*Executor).PullPolicy = policy
		j := job("echo " + policy) // the image's own entrypoint fails
		j.Image = r.image()
		if err := s.runner.Run(t.Context(), j); err != nil {
			t.Errorf("%s: %v", policy, err)
		}
	}
	run(ifNotPresent)
	pulled := r.asked.Load()
	run(ifNotPresent)
	run(never)
	if pulled == 0 || r.asked.Load() != pulled {
		t.Errorf("the registry was asked %d times, then %d times; only the first job needs it", pulled, r.asked.Load())
	}
	run(always)
	if r.asked.Load() == pulled {
		t.Error("always does not ask the registry")
	}
	if s.out.String() != "if-not-present\nif-not-present\nnever\nalways\n" {
		t.Errorf("stdout = %q", &s.out)
	}
}

// TestPullFails: an image that does not exist is the job's fault, a registry that does not answer is not.
func TestPullFails(t *testing.T) {
	t.Parallel()
	r := startRegistry(t)
	s := newStage(t, sharedDockerd(t), Executor{PullPolicy: ifNotPresent})
	j := job("true")
	j.Image = r.image() + "23"
	err := s.runner.Run(t.Context(), j)
	var build *runner.BuildError
	if !errors.As(err, &build) || !strings.Contains(err.Error(), j.Image+" cannot be pulled: check its name") {
		t.Errorf("err = %v (%T)", err, err)
	}
	r.Close()
	err = s.runner.Run(t.Context(), j)
	var system *runner.SystemError
	if !errors.As(err, &system) || system.Started || !strings.Contains(err.Error(), "pull the image "+j.Image) {
		t.Errorf("err = %v (%T)", err, err)
	}
}

func TestCancelInPull(t *testing.T) {
	t.Parallel()
	r := startRegistry(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r.onBlob = func() { // the blob does not come before the job is cancelled
		cancel()
		<-ctx.Done()
	}
	s := newStage(t, sharedDockerd(t), Executor{PullPolicy: ifNotPresent})
	j := job("true")
	j.Image = r.image()
	err := s.runner.Run(ctx, j)
	var stopped *runner.CancelledError
	if !errors.As(err, &stopped) {
		t.Errorf("err = %v (%T)", err, err)
	}
	s.clean()
}
