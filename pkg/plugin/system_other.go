//go:build !unix

package plugin

import (
	"errors"
	"os"
	"os/exec"
)

func isolate(*exec.Cmd) {}

func killGroup(pid int) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	if err := p.Kill(); !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

func closeOnExec(int) {}

const canLifeline = false

const nonBlock = 0

func lockFile(*os.File) bool { return false }

func isOurs(os.FileInfo) bool { return false }

func noExec(string) bool { return false }

func noExecFormat(error) bool { return false }
