// Package oci installs plugins from an OCI registry, and puts them there.
//
// A plugin is an image index with one manifest for each platform. Each manifest has one layer: the executable as it is. So the digest of the layer is the
// SHA-256 sum of the plugin. A signature is a bundle of cosign over these bytes, in an image of its own that refers to the manifest.
package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/errcode"
	"oras.land/oras-go/v2/registry/remote/retry"

	"github.com/taskscaler/taskscaler/pkg/plugin"
)

const (
	artifactType = "application/vnd.taskscaler.plugin.v1"
	layerType    = "application/vnd.taskscaler.plugin.executable.v1"

	maxManifest   = 4 << 20 // bytes
	maxExecutable = 1 << 30
	maxTags       = 10_000
)

// open returns the repository of a plugin. It logs in as docker does: with what `docker login` has stored.
func open(s plugin.Source) (*remote.Repository, error) {
	repo, err := remote.NewRepository(s.String())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s, err)
	}
	store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return nil, fmt.Errorf("read the logins of docker (~/.docker/config.json): %w", err)
	}
	client := &auth.Client{Client: retry.DefaultClient, Cache: auth.NewCache(), Credential: credentials.Credential(store)}
	client.SetUserAgent("taskscaler")
	repo.Client, repo.PlainHTTP = client, loopback(s.Registry)
	repo.ReferrerListMaxPages, repo.SkipReferrersGC = 100, true // many registries forbid the deletion of what is old
	return repo, nil
}

// loopback reports whether a registry is on this machine. It is spoken to without TLS, as docker does.
func loopback(registry string) bool {
	host, _, err := net.SplitHostPort(registry)
	if err != nil {
		host = registry
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// version returns the newest version of the registry that is meant.
func version(ctx context.Context, repo *remote.Repository, s plugin.Source) (string, error) {
	if plugin.IsVersion(s.Constraint) {
		return s.Constraint, nil
	}
	var tags []string
	err := repo.Tags(ctx, "", func(page []string) error {
		if tags = append(tags, page...); len(tags) > maxTags {
			return fmt.Errorf("it has more than %d tags: write the version", maxTags)
		}
		return nil
	})
	if err != nil {
		return "", explain(s, err)
	}
	found := plugin.Newest(s.Constraint, tags)
	if found == "" {
		slices.Sort(tags)
		return "", fmt.Errorf("%s has no version that matches %q: its tags are %s", s, s.Constraint, strings.Join(tags[:min(20, len(tags))], ", "))
	}
	return found, nil
}

// pick returns the manifest and the layer of the plugin for a platform.
func pick(ctx context.Context, repo content.Fetcher, top ocispec.Descriptor, platform string) (manifest, layer ocispec.Descriptor, err error) {
	manifest = top
	if top.MediaType == ocispec.MediaTypeImageIndex || top.MediaType == "application/vnd.docker.distribution.manifest.list.v2+json" {
		var index ocispec.Index
		if err := fetchJSON(ctx, repo, top, &index); err != nil {
			return manifest, layer, err
		}
		var has []string
		at := slices.IndexFunc(index.Manifests, func(d ocispec.Descriptor) bool {
			if d.Platform == nil {
				return false
			}
			has = append(has, d.Platform.OS+"/"+d.Platform.Architecture)
			return has[len(has)-1] == platform
		})
		if at < 0 {
			return manifest, layer, fmt.Errorf("there is no build for %s: there is one for %s", platform, strings.Join(has, ", "))
		}
		manifest = index.Manifests[at]
	}
	var m ocispec.Manifest
	if err := fetchJSON(ctx, repo, manifest, &m); err != nil {
		return manifest, layer, err
	}
	if len(m.Layers) != 1 || m.Layers[0].MediaType != layerType {
		return manifest, layer, errors.New("it is no plugin that `taskscaler plugin push` made, but another image (a plugin of GitLab Runner, perhaps, which uses another protocol)")
	}
	if m.Layers[0].Size > maxExecutable {
		return manifest, layer, fmt.Errorf("it has %d bytes, and a plugin has at most %d", m.Layers[0].Size, maxExecutable)
	}
	if err := m.Layers[0].Digest.Validate(); err != nil || m.Layers[0].Digest.Algorithm() != digest.SHA256 {
		return manifest, layer, fmt.Errorf("its executable has the digest %q, and no SHA-256 sum: push it with `taskscaler plugin push`", m.Layers[0].Digest)
	}
	return manifest, m.Layers[0], nil
}

// fetchJSON reads a small document, and checks its digest.
func fetchJSON(ctx context.Context, repo content.Fetcher, d ocispec.Descriptor, into any) error {
	if d.Size > maxManifest {
		return fmt.Errorf("its manifest has %d bytes, and at most %d are read", d.Size, maxManifest)
	}
	data, err := content.FetchAll(ctx, repo, d)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// explain adds what to do.
func explain(s plugin.Source, err error) error {
	var answer *errcode.ErrorResponse
	var network *net.OpError
	switch {
	case errors.As(err, &answer) && (answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden):
		return fmt.Errorf("%s: the registry refuses it: log in with `docker login %s`: %w", s, s.Registry, err)
	case errors.Is(err, errdef.ErrNotFound), errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s: the registry does not have it: correct the name or the version: %w", s, err)
	case errors.As(err, &network):
		return fmt.Errorf("%s: the registry cannot be reached: %w", s, err)
	}
	return fmt.Errorf("%s: %w", s, err)
}
