package main

import (
	"fmt"
	"io"

	"github.com/taskscaler/taskscaler/internal/daemon"
	"github.com/taskscaler/taskscaler/pkg/config"
)

// load reads the configuration. It writes warnings to w and returns faults as the error.
func load(path string, w io.Writer) (*config.File, error) {
	file, report, err := daemon.Load(path)
	if err != nil {
		return nil, err
	}
	if err := report.Err(); err != nil {
		return nil, fmt.Errorf("the configuration cannot be used; correct these faults:\n%w", err)
	}
	for _, p := range report.Warnings() {
		_, _ = fmt.Fprintf(w, "taskscaler: warning: %s\n", p.Error())
	}
	return file, nil
}
