package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"

	"golang.org/x/net/http/httpproxy"

	"github.com/taskscaler/taskscaler/internal/faultproxy"
	"github.com/taskscaler/taskscaler/internal/nearest"
	"github.com/taskscaler/taskscaler/pkg/provider/conformance"
)

// startProxy starts the proxy of plugin test. What it passes on goes through the proxy that the environment names, if it names one.
func (f *testFlags) startProxy(env environment, dir string) (*faultproxy.Proxy, error) {
	answers, err := readAnswers(f.answers)
	if err != nil {
		return nil, err
	}
	first := func(names ...string) string {
		for _, name := range names {
			if v := env.getenv(name); v != "" {
				return v
			}
		}
		return ""
	}
	next := (&httpproxy.Config{HTTPProxy: first("HTTP_PROXY", "http_proxy"), HTTPSProxy: first("HTTPS_PROXY", "https_proxy"), NoProxy: first("NO_PROXY", "no_proxy")}).ProxyFunc()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = func(r *http.Request) (*url.URL, error) { return next(r.URL) }
	return faultproxy.Start(dir, faultproxy.Options{Transport: transport, Answers: answers})
}

// readAnswers reads the file of --proxy-answers: an object with a fault of the API as each key.
func readAnswers(path string) (map[conformance.APIFault]faultproxy.Answer, error) {
	if path == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading --proxy-answers: %w", err)
	}
	var answers map[conformance.APIFault]faultproxy.Answer
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&answers); err != nil {
		return nil, fmt.Errorf(`%s is not a file for --proxy-answers: %w; it looks like {"throttled": {"type": "application/json", "body": "{…}"}}`, path, err)
	}
	var known []string
	for _, fault := range []conformance.APIFault{
		conformance.APIUnauthorized, conformance.APIForbidden, conformance.APINotFound, conformance.APIThrottled, conformance.APIBroken,
	} {
		known = append(known, string(fault))
	}
	for fault := range answers {
		if !slices.Contains(known, string(fault)) {
			return nil, fmt.Errorf("%s: no answer has the name %q: %s", path, fault, nearest.Remedy(string(fault), known, "taskscaler plugin test --list"))
		}
	}
	return answers, nil
}
