package connector_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/connector"
)

// powershell is the folder of a stand-in for powershell.exe (testdata/winrm/powershell.py), which the WinRM server of these tests finds in its PATH.
//
// No PowerShell runs where these tests run. So they show that the scripts arrive unchanged, and that our side of the protocol is right; they do not show that
// the scripts do what winrmcopy.go promises.
type powershell struct {
	dir  string
	home string // of the remote user
}

func newPowerShell(t testing.TB) powershell {
	t.Helper()
	p := powershell{dir: t.TempDir(), home: t.TempDir()}
	standIn, err := filepath.Abs("testdata/winrm/powershell.py")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(standIn, filepath.Join(p.dir, "powershell.exe")); err != nil {
		t.Fatal(err)
	}
	p.tell(t, "upload.ps1", connector.UploadScript)
	p.tell(t, "download.ps1", connector.DownloadScript)
	return p
}

// tell writes a file for the stand-in.
func (p powershell) tell(t testing.TB, name, content string) {
	t.Helper()
	write(t, filepath.Join(p.dir, name), []byte(content))
}

func (p powershell) environ() []string {
	return []string{"PATH=" + p.dir + string(filepath.ListSeparator) + os.Getenv("PATH"), "TASKSCALER_POWERSHELL=" + p.dir, "USERPROFILE=" + p.home}
}
