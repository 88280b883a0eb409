// Package local is a cloud in a folder: each machine is a folder with a file, and a process that serves SSH. It is here so that the plugin works at once.
// Remove it when you have a cloud.
package local

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/pluginkit"

	"github.com/taskscaler/taskscaler/examples/plugin/cloud"
)

// The files of a machine.
const (
	specFile  = "spec.json"  // what was asked for
	readyFile = "ready.json" // what the machine says of itself; it is there when the machine runs
)

// Cloud is the machines in one folder. It is safe for concurrent use, by several processes too.
type Cloud struct{ dir string }

// Open returns the cloud in the folder, which is created with mode 0700.
func Open(dir string) (*Cloud, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, provider.Errorf(provider.KindConfig, "the folder of the machines cannot be created: %w", err)
	}
	return &Cloud{dir}, nil
}

// Close has nothing to release.
func (c *Cloud) Close() {}

// List returns all machines with these labels.
func (c *Cloud) List(ctx context.Context, labels pluginkit.Labels) (list []cloud.Machine, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		m, err := c.Get(ctx, e.Name())
		switch {
		case provider.KindOf(err) == provider.KindNotFound: // it went at this moment
		case err != nil:
			return nil, err
		case labels.Own(m.Labels):
			list = append(list, m)
		}
	}
	return list, nil
}

// Get returns one machine.
func (c *Cloud) Get(_ context.Context, id string) (cloud.Machine, error) {
	if id != filepath.Base(id) || strings.HasPrefix(id, ".") {
		return cloud.Machine{}, notFound(id)
	}
	var spec cloud.Spec
	switch err := readJSON(filepath.Join(c.dir, id, specFile), &spec); {
	case errors.Is(err, fs.ErrNotExist):
		return cloud.Machine{}, notFound(id)
	case err != nil:
		return cloud.Machine{}, err
	}
	m := cloud.Machine{State: "running"}
	switch err := readJSON(filepath.Join(c.dir, id, readyFile), &m); {
	case errors.Is(err, fs.ErrNotExist):
		m.State = "starting"
	case err != nil:
		return cloud.Machine{}, err
	}
	m.ID, m.Labels = id, spec.Labels
	return m, nil
}

func notFound(id string) error {
	return provider.Errorf(provider.KindNotFound, "there is no machine %q", id)
}

// Create starts a machine.
func (c *Cloud) Create(ctx context.Context, spec cloud.Spec) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	half, err := os.MkdirTemp(c.dir, ".new-") // a folder without a dot is whole
	if err != nil {
		return err
	}
	dir := filepath.Join(c.dir, spec.Name)
	if err := errors.Join(writeJSON(filepath.Join(half, specFile), spec), os.Rename(half, dir)); err != nil {
		return errors.Join(err, os.RemoveAll(half))
	}
	if err := start(dir); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	return nil
}

// start starts the process of a machine. It outlives the plugin, so it has a session of its own, and none of the plugin's files.
func start(dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, machineCommand, dir)
	cmd.Dir = dir
	ownSession(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // so that it does not stay as a zombie
	return nil
}

// Delete removes the file without which a folder is no machine. The process of the machine sees it and ends.
func (c *Cloud) Delete(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := c.Get(ctx, id); err != nil {
		return err
	}
	dir := filepath.Join(c.dir, id)
	if err := os.Remove(filepath.Join(dir, specFile)); errors.Is(err, fs.ErrNotExist) {
		return notFound(id)
	} else if err != nil {
		return err
	}
	_ = os.RemoveAll(dir) // the machine does it too, because it may write at this moment
	return nil
}

func readJSON(path string, v any) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, v)
}

// writeJSON writes a file that is whole whenever it exists.
func writeJSON(path string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".tmp", raw, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}
