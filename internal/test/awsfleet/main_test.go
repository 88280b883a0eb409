package awsfleet

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/taskscaler/taskscaler/internal/test/awsstage"
	"github.com/taskscaler/taskscaler/internal/test/stage"
)

// bin is the folder with the binaries under test. It is set once, before the first test.
var bin string

func TestMain(m *testing.M) {
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "taskscaler-aws-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	bin = filepath.Join(dir, "bin")
	flag.Parse()
	if !testing.Short() { // see newWorld
		if _, err := stage.Build(context.Background(), bin, awsstage.Package); err != nil {
			return 1, err
		}
	}
	if err := flag.Set("test.parallel", "4"); err != nil { // the tests wait most of the time, for AWS's pace
		return 1, err
	}
	return m.Run(), nil
}
