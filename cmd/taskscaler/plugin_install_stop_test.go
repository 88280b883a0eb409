package main

import (
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// stalled is the body of a download that stops in its middle: it calls reached, and then waits for the end of the request.
type stalled struct {
	io.ReadCloser
	rest    int
	reached func()
	end     <-chan struct{}
}

func (s *stalled) Read(p []byte) (int, error) {
	if s.rest <= 0 {
		s.reached()
		<-s.end
		return 0, io.ErrUnexpectedEOF
	}
	n, err := s.ReadCloser.Read(p[:min(len(p), s.rest)])
	s.rest -= n
	return n, err
}

// TestPluginInstallStopped: a signal in the middle of the download leaves nothing behind. A relative plugin folder is one like any other.
func TestPluginInstallStopped(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	addr, _ := startRegistry(t)
	built, dir := buildVersions(t, "1.0.0"), t.TempDir()
	if code, _, stderr := tryIn(dir, "plugin", "push", addr+"/ci/hosts:1.0.0", filepath.Join(built, "1.0.0")); code != 0 {
		t.Fatal(stderr)
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: addr})
	proxy.ModifyResponse = func(r *http.Response) error {
		if r.Request.Method == http.MethodGet && r.ContentLength > 1<<20 {
			r.Body = &stalled{r.Body, 1 << 18, func() { _ = syscall.Kill(os.Getpid(), syscall.SIGINT) }, r.Request.Context().Done()}
		}
		return nil
	}
	slow := httptest.NewServer(proxy)
	defer slow.Close()
	code, stdout, stderr := tryIn(dir, "plugin", "install", strings.TrimPrefix(slow.URL, "http://")+"/ci/hosts")
	if code != exitFailed || stdout != "" || !strings.Contains(stderr, "the installation was ended by signal: interrupt") {
		t.Errorf("%d, %q, %q", code, stdout, stderr)
	}
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, _ error) error {
		if !e.IsDir() {
			t.Errorf("%s was left behind", path)
		}
		return nil
	})

	t.Chdir(dir)
	code, stdout, stderr = tryIn(dir, "plugin", "install", "--dir", "own", addr+"/ci/hosts")
	if code != 0 || stderr != "" || !strings.Contains(stdout, filepath.Join(dir, "own")) {
		t.Errorf("a relative folder: %d, %q, %q", code, stdout, stderr)
	}
}
