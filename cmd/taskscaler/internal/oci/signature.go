package oci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/taskscaler/taskscaler/cmd/taskscaler/internal/cosign"
	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/setup"
)

const (
	maxSignatures = 64 // of one executable
	maxBundle     = 1 << 20
)

// SignatureError says that a plugin is not installed, because no signature of its executable is by the key.
type SignatureError struct {
	Plugin string // with its version
	Key    *cosign.Key
	Err    error
}

// Error names the plugin and the key.
func (e *SignatureError) Error() string {
	return fmt.Sprintf("%s is not installed, because the key %s (%s) has not signed it: %s", e.Plugin, e.Key.From, e.Key.Fingerprint(), e.Err.Error())
}

// Unwrap returns what is wrong.
func (e *SignatureError) Unwrap() error { return e.Err }

// verify returns nil if one of the bundles that refer to the manifest is a signature of its layer by the key. name is that of the plugin, with its version. The error
// is a *SignatureError, unless the registry does not answer.
func verify(ctx context.Context, repo *remote.Repository, name string, manifest, layer ocispec.Descriptor, key *cosign.Key) error {
	bundles, err := referrers(ctx, repo, manifest)
	if err != nil {
		return fmt.Errorf("%s is not installed, because its signatures cannot be read: %w", name, err)
	}
	if len(bundles) == 0 {
		err := fmt.Errorf("the registry has no signature of it for %s: its publisher can add one with `taskscaler plugin push --bundle FILE`", setup.Platform())
		return &SignatureError{name, key, err}
	}
	var faults []error
	for _, d := range bundles {
		b, err := fetchBundle(ctx, repo, d)
		if err == nil {
			err = key.Verify(b, layer.Digest.Encoded())
		}
		if err == nil {
			return nil
		}
		faults = append(faults, err)
	}
	faults = append(faults, errors.New("get the right key from the publisher, or tell them that a signature by this key is absent"))
	return &SignatureError{name, key, errors.Join(faults...)}
}

// referrers returns the manifests of the bundles that refer to a manifest. It filters by itself: some registries know only the type of the configuration, which is
// empty here.
func referrers(ctx context.Context, repo *remote.Repository, manifest ocispec.Descriptor) (found []ocispec.Descriptor, err error) {
	err = repo.Referrers(ctx, manifest, "", func(page []ocispec.Descriptor) error {
		for _, d := range page {
			if d.ArtifactType == cosign.BundleType || d.ArtifactType == ocispec.MediaTypeEmptyJSON || d.ArtifactType == "" {
				found = append(found, d)
			}
		}
		if len(found) > maxSignatures {
			return fmt.Errorf("it has more than %d signatures: remove those in the registry that nobody needs", maxSignatures)
		}
		return nil
	})
	return found, err
}

// fetchBundle reads the bundle in the only layer of a manifest.
func fetchBundle(ctx context.Context, repo content.Fetcher, d ocispec.Descriptor) (cosign.Bundle, error) {
	var m ocispec.Manifest
	err := fetchJSON(ctx, repo, d, &m)
	switch {
	case err != nil:
	case len(m.Layers) != 1 || m.Layers[0].MediaType != cosign.BundleType:
		err = errors.New("its image has no bundle")
	case m.Layers[0].Size > maxBundle:
		err = fmt.Errorf("it has %d bytes, and at most %d are read", m.Layers[0].Size, maxBundle)
	}
	if err != nil {
		return cosign.Bundle{}, &cosign.BundleError{From: d.Digest.String(), Err: err}
	}
	data, err := content.FetchAll(ctx, repo, m.Layers[0])
	if err != nil {
		return cosign.Bundle{}, &cosign.BundleError{From: d.Digest.String(), Err: err}
	}
	return cosign.ParseBundle(d.Digest.String(), data)
}

// readBundles reads the bundles for a push, by the sum of the file that each signs. If there is one, each executable must have one.
func readBundles(paths, executables []string) (map[string][]cosign.Bundle, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	files := map[string]string{}
	for _, path := range executables {
		sum, err := plugin.Sum(path)
		if err != nil {
			return nil, err
		}
		files[sum] = path
	}
	bundles := map[string][]cosign.Bundle{}
	for _, path := range paths {
		b, err := cosign.ReadBundle(path)
		if err != nil {
			return nil, err
		}
		if files[b.SHA256()] == "" {
			return nil, &cosign.BundleError{From: path, Err: fmt.Errorf("it is of other bytes (sha256 %s) than %s: sign the files that you push", b.SHA256(), strings.Join(executables, ", "))}
		}
		bundles[b.SHA256()] = append(bundles[b.SHA256()], b)
	}
	for sum, path := range files {
		if len(bundles[sum]) == 0 {
			return nil, fmt.Errorf("%s has no bundle, and other files have one: sign it with `cosign sign-blob`, and give its bundle with --bundle", path)
		}
	}
	return bundles, nil
}

// attach puts bundles into the registry, as images that refer to the manifest. What is there stays.
func attach(ctx context.Context, repo *remote.Repository, manifest ocispec.Descriptor, bundles []cosign.Bundle) error {
	subject := ocispec.Descriptor{MediaType: manifest.MediaType, Digest: manifest.Digest, Size: manifest.Size}
	for _, b := range bundles {
		layer := ocispec.Descriptor{MediaType: cosign.BundleType, Digest: digest.FromBytes(b.Raw), Size: int64(len(b.Raw))}
		if there, err := repo.Blobs().Exists(ctx, layer); err != nil {
			return err
		} else if !there {
			if err := repo.Push(ctx, layer, bytes.NewReader(b.Raw)); err != nil {
				return err
			}
		}
		_, err := oras.PackManifest(ctx, repo, oras.PackManifestVersion1_1, cosign.BundleType, oras.PackManifestOptions{
			Subject: &subject, Layers: []ocispec.Descriptor{layer}, ManifestAnnotations: undated(),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// undated gives the same files the same digest.
func undated() map[string]string {
	return map[string]string{ocispec.AnnotationCreated: "1970-01-01T00:00:00Z"}
}
