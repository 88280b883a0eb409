package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/taskscaler/taskscaler/examples/runner"
)

// Executor runs a job's script in a container of the instance's Docker engine. Its fields are the operator's settings.
type Executor struct {
	Image         string   // of jobs that name none; always allowed; empty: a job must name one
	AllowedImages []string // patterns of the images that jobs may name; * stops at a slash, ** does not; empty: every image
	PullPolicy    string   // always, if-not-present or never
	Volumes       []string // binds of every container: SOURCE:TARGET[:OPTIONS]
	Socket        string   // path of the engine's socket on the instance
}

var _ runner.Executor = (*Executor)(nil)

// The pull policies.
const (
	always       = "always"
	ifNotPresent = "if-not-present"
	never        = "never"
)

var (
	socketPath = regexp.MustCompile(`^/[A-Za-z0-9_./-]+$`) // needs no quoting in any shell
	volume     = regexp.MustCompile(`^[^:]+:/[^:]*(:[^:]+)?$`)
)

// check finds faults in the operator's settings.
func (e *Executor) check() error {
	for _, pattern := range e.AllowedImages {
		if !doublestar.ValidatePattern(pattern) {
			return fmt.Errorf(`-allowed-image %q is not a pattern: close every [ and {, and write for example "ruby:*"`, pattern)
		}
	}
	for _, v := range e.Volumes {
		if !volume.MatchString(v) {
			return fmt.Errorf("-volume %q is not SOURCE:TARGET or SOURCE:TARGET:OPTIONS with an absolute TARGET: write for example /cache:/cache or "+
				"/etc/ssl:/etc/ssl:ro", v)
		}
	}
	if policies := []string{always, ifNotPresent, never}; !slices.Contains(policies, e.PullPolicy) {
		return fmt.Errorf("-pull-policy %q is not known: write one of %s", e.PullPolicy, strings.Join(policies, ", "))
	}
	if !socketPath.MatchString(e.Socket) {
		return fmt.Errorf("-socket %q is not the absolute path of a socket: write for example /var/run/docker.sock", e.Socket)
	}
	return e.checkImage(e.Image)
}

// Check refuses a job whose image it may not use.
func (e *Executor) Check(job *runner.Job) error {
	image := e.image(job)
	if image == "" {
		return errors.New(`key "image" is missing: name the image of the container in the job, or a default with -image`)
	}
	if err := e.checkImage(image); err != nil {
		return fmt.Errorf(`key "image": %w`, err)
	}
	return e.allowed(image)
}

// Prepare removes what an earlier job left, whose executor was killed, and makes the container.
func (e *Executor) Prepare(ctx context.Context, on *runner.Instance, job *runner.Job) error {
	engine, err := e.reach(ctx, on)
	if err != nil {
		return err
	}
	defer engine.Close()
	if err := removeContainers(ctx, engine, on.Lease); err != nil {
		return fmt.Errorf("remove what an earlier job left: %w", err)
	}
	if err := e.provide(ctx, engine, e.image(job)); err != nil {
		return err
	}
	return create(ctx, engine, on.Lease, e.image(job), e.Volumes)
}

// Run runs the script in the container. When ctx ends, it returns, and Cleanup ends the container.
func (e *Executor) Run(ctx context.Context, on *runner.Instance, job *runner.Job, stdout, stderr io.Writer) error {
	engine, err := e.reach(ctx, on)
	if err != nil {
		return fmt.Errorf("%w: %w", runner.ErrNotStarted, err)
	}
	defer engine.Close()
	return run(ctx, engine, containerName(on.Lease), job.Input(), stdout, stderr)
}

// Cleanup kills and removes the container, with its volumes that have no name.
func (e *Executor) Cleanup(ctx context.Context, on *runner.Instance) error {
	engine, err := e.reach(ctx, on)
	if err != nil {
		return err
	}
	defer engine.Close()
	return removeContainers(ctx, engine, on.Lease)
}
