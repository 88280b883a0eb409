// Command instance-executor runs one job on an instance of its own, as the instance executor of GitLab Runner does. See README.md.
package main

import (
	"flag"

	"github.com/taskscaler/taskscaler/examples/runner"
)

func main() { command().Main() }

func command() runner.Command {
	var e Executor
	return runner.Command{
		Name: "instance-executor",
		Flags: func(flags *flag.FlagSet) {
			flags.StringVar(&e.Shell, "shell", "sh", "the shell of the instance that runs the script: sh, bash or another POSIX shell")
		},
		Executor: func() (runner.Executor, error) { return e, e.check() },
	}
}
