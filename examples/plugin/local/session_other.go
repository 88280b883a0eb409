//go:build !unix

package local

import "os/exec"

func ownSession(*exec.Cmd) {}
