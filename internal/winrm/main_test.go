package winrm

import (
	"testing"

	"github.com/taskscaler/taskscaler/internal/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }
