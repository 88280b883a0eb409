package taskscaler

import (
	"errors"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/statestore"
)

// TestOneRemedy: an error that says what to do gets no second remedy, which could contradict it.
func TestOneRemedy(t *testing.T) {
	if got := withRemedy(errors.New("input/output error"), "check the disk").Error(); got != "input/output error; check the disk" {
		t.Error(got)
	}
	if got := withRemedy(&statestore.ReplacedError{Path: "state.db"}, "check the disk").Error(); strings.Contains(got, "check the disk") {
		t.Error(got)
	}
}
