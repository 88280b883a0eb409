// Command docker-autoscaler-executor runs one job in a container of an instance's Docker engine, as the docker-autoscaler executor of GitLab
// Runner does. See README.md.
package main

import (
	"flag"

	"github.com/taskscaler/taskscaler/examples/runner"
)

func main() { command().Main() }

func command() runner.Command {
	var e Executor
	return runner.Command{
		Name: "docker-autoscaler-executor",
		Flags: func(flags *flag.FlagSet) {
			flags.StringVar(&e.Image, "image", "", "the `image` of jobs that name none; it is always allowed")
			flags.Func("allowed-image", "a `pattern` of images that jobs may name, such as 'ruby:*' or 'registry.example.com/**'; may be repeated; "+
				"without it every image is allowed", list(&e.AllowedImages))
			flags.StringVar(&e.PullPolicy, "pull-policy", ifNotPresent, "when the engine pulls an image: always, if-not-present or never")
			flags.Func("volume", "a `bind` of every container, such as /cache:/cache or /etc/ssl:/etc/ssl:ro; may be repeated", list(&e.Volumes))
			flags.StringVar(&e.Socket, "socket", "/var/run/docker.sock", "the `path` of the engine's socket on the instance")
		},
		Executor: func() (runner.Executor, error) { return &e, e.check() },
	}
}

func list(to *[]string) func(string) error {
	return func(value string) error {
		*to = append(*to, value)
		return nil
	}
}
