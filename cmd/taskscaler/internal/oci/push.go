package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/taskscaler/taskscaler/cmd/taskscaler/internal/cosign"
	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/setup"
)

// Push puts one version of a plugin into its registry: the executables, one for each platform, which their headers name. The constraint of s is the version.
// A version that is there with other bytes is not replaced. bundles are files with signatures, which may be added later too. It returns the digest of the image.
func Push(ctx context.Context, s plugin.Source, files, bundles []string) (string, error) {
	if !plugin.IsVersion(s.Constraint) {
		return "", fmt.Errorf("%s: write the whole version after the name, such as :1.5.1", s)
	}
	signatures, err := readBundles(bundles, files)
	if err != nil {
		return "", err
	}
	repo, err := open(s)
	if err != nil {
		return "", err
	}
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, ArtifactType: artifactType}
	seen := map[string]string{}
	for _, path := range files {
		platform := plugin.PlatformOf(path)
		system, arch, ok := strings.Cut(platform, "/")
		if !ok {
			return "", fmt.Errorf("%s is no program whose header names a platform", path)
		}
		if seen[platform] != "" {
			return "", fmt.Errorf("%s and %s are both for %s: give one for each platform", seen[platform], path, platform)
		}
		seen[platform] = path
		if platform == setup.Platform() { // the others cannot be tried here
			if _, err := plugin.Ask(ctx, plugin.LaunchOptions{Path: path, InsecurePath: true}); err != nil {
				return "", err
			}
		}
		manifest, err := pushFile(ctx, repo, path, signatures)
		if err != nil {
			return "", explain(s, fmt.Errorf("%s: %w", path, err))
		}
		manifest.Platform = &ocispec.Platform{OS: system, Architecture: arch}
		index.Manifests = append(index.Manifests, manifest)
	}
	return pushIndex(ctx, repo, s, index)
}

// pushFile puts one executable and its signatures there, and returns its manifest.
func pushFile(ctx context.Context, repo *remote.Repository, path string, signatures map[string][]cosign.Bundle) (ocispec.Descriptor, error) {
	sum, err := plugin.Sum(path)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	f, err := os.Open(path)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	layer := ocispec.Descriptor{MediaType: layerType, Digest: digest.NewDigestFromEncoded(digest.SHA256, sum), Size: info.Size()}
	if there, err := repo.Blobs().Exists(ctx, layer); err != nil {
		return ocispec.Descriptor{}, err
	} else if !there {
		if err := repo.Push(ctx, layer, f); err != nil {
			return ocispec.Descriptor{}, err
		}
	}
	manifest, err := oras.PackManifest(ctx, repo, oras.PackManifestVersion1_1, artifactType, oras.PackManifestOptions{
		Layers: []ocispec.Descriptor{layer}, ManifestAnnotations: undated(),
	})
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return manifest, attach(ctx, repo, manifest, signatures[sum])
}

func pushIndex(ctx context.Context, repo *remote.Repository, s plugin.Source, index ocispec.Index) (string, error) {
	data, err := json.Marshal(index)
	if err != nil {
		return "", err
	}
	d := content.NewDescriptorFromBytes(ocispec.MediaTypeImageIndex, data)
	old, err := repo.Resolve(ctx, s.Constraint)
	switch {
	case err == nil && old.Digest == d.Digest:
		return d.Digest.String(), nil
	case err == nil:
		return "", fmt.Errorf("%s:%s is there with other bytes (%s): a version does not change, so push another one", s, s.Constraint, old.Digest)
	case !errors.Is(err, errdef.ErrNotFound):
		return "", explain(s, err)
	}
	if err := repo.PushReference(ctx, d, bytes.NewReader(data), s.Constraint); err != nil {
		return "", explain(s, err)
	}
	return d.Digest.String(), nil
}
