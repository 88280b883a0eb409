package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// document is a registry with one document.
type document []byte

// Fetch returns the document, whatever is asked for.
func (d document) Fetch(context.Context, ocispec.Descriptor) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(d)), nil
}

// TestSecurityDigestsOfARegistry: a manifest with a digest that is none is refused, and no panic.
func TestSecurityDigestsOfARegistry(t *testing.T) {
	const sha512 = "sha512:" + "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
	for _, text := range []string{"", "x", ":", "sha256:", "sha256:00", "md5:00000000000000000000000000000000", sha512} {
		m := ocispec.Manifest{Layers: []ocispec.Descriptor{{MediaType: layerType, Digest: digest.Digest(text), Size: 1}}}
		raw, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		top := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
		if _, _, err := pick(t.Context(), document(raw), top, "linux/amd64"); err == nil || !strings.Contains(err.Error(), "and no SHA-256 sum") {
			t.Errorf("%q: %v", text, err)
		}
		top.Digest = digest.Digest(text)
		if _, _, err := pick(t.Context(), document(raw), top, "linux/amd64"); err == nil {
			t.Errorf("manifest %q: accepted", text)
		}
		if _, err := fetchBundle(t.Context(), document(raw), top); err == nil {
			t.Errorf("bundle %q: accepted", text)
		}
	}
}

// TestBundlesOfARegistry: what refers to a plugin and is no bundle is refused.
func TestBundlesOfARegistry(t *testing.T) {
	layer := func(mediaType string, size int64) ocispec.Descriptor {
		return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromString("x"), Size: size}
	}
	bundle := "application/vnd.dev.sigstore.bundle.v0.3+json"
	for want, layers := range map[string][]ocispec.Descriptor{
		"has no bundle":       nil,
		"its image has no":    {layer("text/plain", 1)},
		"image has no bundle": {layer(bundle, 1), layer(bundle, 1)},
		"at most":             {layer(bundle, maxBundle+1)},
		"size":                {layer(bundle, -1)},
	} {
		raw, err := json.Marshal(ocispec.Manifest{Layers: layers})
		if err != nil {
			t.Fatal(err)
		}
		top := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
		if _, err := fetchBundle(t.Context(), document(raw), top); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "bundle sha256:") {
			t.Errorf("%v; want %q", err, want)
		}
	}
}
