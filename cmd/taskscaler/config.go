package main

import (
	"fmt"
	"io"

	"github.com/taskscaler/taskscaler/internal/daemon"
	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/pkg/config"
)

// load reads the configuration. It writes warnings to w and returns faults as the error.
func load(path string, w io.Writer) (*config.File, error) {
	file, warnings, err := readConfig(path)
	for _, p := range warnings {
		_, _ = safetext.Fprintf(w, "taskscaler: warning: %s\n", safetext.Lines(p.Error()))
	}
	return file, err
}

// readConfig reads the configuration, and returns warnings, and faults as the error.
func readConfig(path string) (*config.File, []config.Problem, error) {
	file, report, err := daemon.Load(path)
	if err != nil {
		return nil, nil, err
	}
	if err := report.Err(); err != nil {
		return nil, nil, fmt.Errorf("the configuration cannot be used; correct these faults:\n%w", err)
	}
	return file, report.Warnings(), nil
}
