package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/client"

	"github.com/taskscaler/taskscaler/examples/runner"
)

func (e *Executor) image(job *runner.Job) string {
	if job.Image == "" {
		return e.Image
	}
	return job.Image
}

// checkImage finds out whether image can be the name of one. An empty one can.
func (e *Executor) checkImage(image string) error {
	if image == "" {
		return nil
	}
	if _, err := reference.ParseNormalizedNamed(image); err != nil {
		return fmt.Errorf("%q is not the name of an image (%w): write for example alpine:3.20", image, err)
	}
	return nil
}

// allowed compares the name of the image, as the job writes it, with the patterns.
func (e *Executor) allowed(image string) error {
	if len(e.AllowedImages) == 0 || image == e.Image {
		return nil
	}
	for _, pattern := range e.AllowedImages {
		if doublestar.MatchUnvalidated(pattern, image) {
			return nil
		}
	}
	return fmt.Errorf(`key "image": %q is not allowed: use an image that matches %s, or ask the operator for -allowed-image %q`, image,
		strings.Join(e.AllowedImages, " or "), image)
}

// provide pulls the image, as the policy says. An image that does not exist is the job's fault, a registry that does not answer is not.
func (e *Executor) provide(ctx context.Context, engine *client.Client, image string) error {
	if e.PullPolicy != always {
		_, err := engine.ImageInspect(ctx, image)
		switch {
		case err == nil:
			return nil
		case !errdefs.IsNotFound(err):
			return fmt.Errorf("look for the image %s: %w", image, err)
		case e.PullPolicy == never:
			return &runner.BuildError{Err: fmt.Errorf("the image %s is not on the instance, and -pull-policy is never: use an image that is there, or "+
				"-pull-policy if-not-present", image)}
		}
	}
	err := pull(ctx, engine, image)
	switch {
	case err == nil:
		return nil
	case errdefs.IsNotFound(err), errdefs.IsUnauthorized(err), errdefs.IsPermissionDenied(err):
		return &runner.BuildError{Err: fmt.Errorf("the image %s cannot be pulled: check its name, and that the engine may read it: %w", image, err)}
	}
	return fmt.Errorf("pull the image %s: %w", image, err)
}

func pull(ctx context.Context, engine *client.Client, image string) error {
	progress, err := engine.ImagePull(ctx, image, client.ImagePullOptions{})
	if err != nil {
		return err
	}
	defer progress.Close()
	return progress.Wait(ctx)
}
