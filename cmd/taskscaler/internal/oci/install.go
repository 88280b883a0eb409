package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/taskscaler/taskscaler/cmd/taskscaler/internal/cosign"
	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/setup"
)

// Installed is a plugin that was installed.
type Installed struct {
	Version string // its tag
	Digest  string // of the image
	SHA256  string // of the executable
	Path    string
	About   plugin.About
}

// Pin is what is known of a plugin before it is installed, from a lock file and by --key. Empty fields say nothing.
type Pin struct {
	Digest string      // of the image
	SHA256 string      // of the executable
	Key    *cosign.Key // that must have signed the executable
}

// Install installs the newest version of a plugin that is meant into a plugin folder. The image and the executable must be those of the pin, and
// signed by its key; a *SignatureError says that they are not. Everything that is downloaded has the digest that its manifest names; and a file that is no plugin for
// this taskscaler is not installed.
func Install(ctx context.Context, s plugin.Source, pin Pin, dir string) (Installed, error) {
	repo, err := open(s)
	if err != nil {
		return Installed{}, err
	}
	tag, err := version(ctx, repo, s)
	if err != nil {
		return Installed{}, err
	}
	if !plugin.IsVersion(tag) || !filepath.IsLocal(tag) {
		return Installed{}, fmt.Errorf("%s: %q is not a version", s, tag)
	}
	top, err := repo.Resolve(ctx, tag)
	if err != nil && pin.Digest != "" { // the tag may be gone
		top, err = repo.Resolve(ctx, pin.Digest)
	}
	if err != nil {
		return Installed{}, explain(s, err)
	}
	if pin.Digest != "" && top.Digest.String() != pin.Digest {
		return Installed{}, fmt.Errorf("%s:%s has the digest %s now, and %s was locked: somebody has replaced this version; if that is right, update the lock with --update", s, tag, top.Digest, pin.Digest)
	}
	manifest, layer, err := pick(ctx, repo, top, setup.Platform())
	if err != nil {
		return Installed{}, explain(s, err)
	}
	if pin.SHA256 != "" && layer.Digest.Encoded() != pin.SHA256 {
		return Installed{}, fmt.Errorf("%s:%s has an executable with the SHA-256 sum %s, and %s was locked: if the other may run, update the lock with --update", s, tag, layer.Digest.Encoded(), pin.SHA256)
	}
	if pin.Key != nil { // before the download, which then must have the digest that was verified
		if err := verify(ctx, repo, s.String()+":"+tag, manifest, layer, pin.Key); err != nil {
			return Installed{}, err
		}
	}
	out := Installed{Version: tag, Digest: top.Digest.String(), SHA256: layer.Digest.Encoded(), Path: s.File(dir, tag)}
	out.About, err = place(ctx, repo, s, layer, out.Path)
	return out, err
}

// place downloads the executable, and puts it at path when it is whole and is a plugin.
func place(ctx context.Context, repo *remote.Repository, s plugin.Source, layer ocispec.Descriptor, path string) (about plugin.About, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return about, fmt.Errorf("create the folder of the plugin: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".plugin.*")
	if err != nil {
		return about, fmt.Errorf("create the file of the plugin: %w", err)
	}
	defer func() {
		if err != nil {
			_, _ = os.Remove(f.Name()), os.Remove(filepath.Dir(path)) // the folder only if it is empty
		}
	}()
	if err := download(ctx, repo, layer, f); err != nil {
		return about, explain(s, err)
	}
	about, err = plugin.Ask(ctx, plugin.LaunchOptions{Path: f.Name(), SHA256: layer.Digest.Encoded(), SHA256From: "the sum in the registry", InsecurePath: true})
	if err != nil {
		return about, fmt.Errorf("%s is not installed: %w", s, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return about, fmt.Errorf("put the plugin into its place: %w", err)
	}
	return about, nil
}

func download(ctx context.Context, repo *remote.Repository, layer ocispec.Descriptor, f *os.File) (err error) {
	defer func() { err = errors.Join(err, f.Chmod(0o755), f.Sync(), f.Close()) }()
	body, err := repo.Fetch(ctx, layer)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	verified := content.NewVerifyReader(body, layer)
	if _, err := io.Copy(f, verified); err != nil {
		return err
	}
	return verified.Verify()
}
