package jobexec

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/internal/control"
)

func TestParseCopies(t *testing.T) {
	for text, want := range map[string]Copy{"a:b": {"a", "b"}, "a:C:/x": {"a", "C:/x"}, "./a/:b/": {"./a/", "b/"}} {
		if got, err := ParseUpload(text); got != want || err != nil {
			t.Errorf("upload %q: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]Copy{"b:a": {"a", "b"}, "C:/x:a": {"a", "C:/x"}} {
		if got, err := ParseDownload(text); got != want || err != nil {
			t.Errorf("download %q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", ":", "a", "a:", ":b"} {
		if got, err := ParseUpload(text); err == nil {
			t.Errorf("upload %q: %+v", text, got)
		}
		if got, err := ParseDownload(text); err == nil {
			t.Errorf("download %q: %+v", text, got)
		}
	}
}

// TestMeaningOfExitCodesWithCopies: a failed upload means that the command did not run, and a failed download hides only a success.
func TestMeaningOfExitCodesWithCopies(t *testing.T) {
	for name, c := range map[string]struct {
		fault            fault
		upload, download string // what is copied, below the folders of this machine and of the instance
		script           string
		code             int
		ran              bool
		released, says   string
		got              string // the downloaded file
	}{
		"both":                       {upload: "in", download: "out", script: "cat in >out", ran: true, got: "content", released: "release k"},
		"the command fails":          {upload: "in", download: "out", script: "cat in >out; exit 7", code: 7, ran: true, got: "content", released: "release k"},
		"nothing to upload":          {upload: "none", script: "exit 7", code: ExitFailed, says: "--upload: stat"},
		"upload fails":               {upload: "in", script: "exit 7", code: ExitFailed, released: "release k", says: "existing folder"},
		"nothing to download":        {download: "none", script: "exit 0", code: ExitLost, ran: true, released: "release k", says: "the command succeeded, but: download"},
		"no place for a download":    {download: "out", script: "exit 7", code: ExitFailed, says: "the command was not started: download"},
		"fails, nothing to download": {download: "none", script: "exit 7", code: 7, ran: true, released: "release k", says: "exit code 7, and: download"},
		"instance cut":               {fault: cutAtSession, upload: "in", script: "exit 7", code: ExitFailed, released: "release k unreachable", says: "not started"},
		"instance cut once":          {fault: cutAtSession + cutFirstOnly, upload: "in", download: "out", script: "cat in >out", ran: true, got: "content", released: "release k"},
		"instance refuses":           {fault: refusesSessions, upload: "in", script: "exit 7", code: ExitFailed, released: "release k unreachable", says: "refuses another session"},
		"instance runs no command":   {fault: failsCommands, upload: "in", script: "exit 7", code: ExitFailed, released: "release k unreachable", says: "not started"},
		"a pipe":                     {download: "pipe", script: "exit 7", code: 7, ran: true, released: "release k", says: "neither a file nor a folder"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, s := newRig(t, 1), startInstance(t, c.fault)
			here, there := t.TempDir(), t.TempDir()
			if err := os.WriteFile(filepath.Join(here, "in"), []byte("content"), 0o644); err != nil {
				t.Fatal(err)
			}
			job := Job{Key: "k", Argv: []string{"sh", "-c", "cd " + there + "; mkfifo pipe; " + c.script}, Stdout: &r.stdout, Stderr: &r.stderr, Dial: s.dial}
			if c.upload != "" {
				job.Uploads = []Copy{{filepath.Join(here, c.upload), filepath.Join(there, c.upload)}}
			}
			if name == "upload fails" {
				job.Uploads[0].Remote = there
			}
			if c.download != "" {
				job.Downloads = []Copy{{filepath.Join(here, "got"), filepath.Join(there, c.download)}}
			}
			if name == "no place for a download" {
				job.Downloads[0].Local = filepath.Join(here, "none", "got")
			}
			code, err := Run(t.Context(), control.NewClient(r.path), job)
			if code != c.code || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) || c.says == "" && err != nil {
				t.Errorf("exit code %d, want %d; %v", code, c.code, err)
			}
			if ran := s.ran.Load() == 1; ran != c.ran {
				t.Errorf("the command ran %d times", s.ran.Load())
			}
			if got, _ := os.ReadFile(filepath.Join(here, "got")); string(got) != c.got {
				t.Errorf("downloaded %q", got)
			}
			if c.released != "" {
				r.await(c.released)
			}
		})
	}
}

// TestDownloadsBelowEachOther: a place that an earlier download makes is not missed.
func TestDownloadsBelowEachOther(t *testing.T) {
	here := t.TempDir()
	out := filepath.Join(here, "out")
	for name, c := range map[string]struct {
		places []string
		ok     bool
	}{
		"below":              {[]string{out, out + "/sub/x"}, true},
		"with a slash":       {[]string{out, out + "/x/"}, true},
		"in the wrong order": {[]string{out + "/x", out}, false},
		"beside":             {[]string{out, out + "2/x"}, false},
		"the same":           {[]string{out, out}, true},
	} {
		var list []Copy
		for _, local := range c.places {
			list = append(list, Copy{Local: local, Remote: "/from"})
		}
		if err := checkDownloads(t.Context(), list); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEndsDuringADownload: the time-out and a revoked lease are named as such, and the exit code of the command is in the message.
func TestEndsDuringADownload(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*rig, context.CancelCauseFunc)
		code int
	}{
		"timeout": {ends(ErrTimeout), ExitTimeout}, "revoked": {revokes, ExitLost},
	} {
		t.Run(name, func(t *testing.T) {
			r, s := newRig(t, 1), startInstance(t, noFault)
			here, there := t.TempDir(), t.TempDir()
			ctx, end := context.WithCancelCause(t.Context())
			defer end(nil)
			job := Job{
				Key: "k", Argv: []string{"sh", "-c", "cd " + there + "; : >big; truncate -s 1T big; exit 5"}, Stdout: &r.stdout, Stderr: &r.stderr, Dial: s.dial,
				Downloads: []Copy{{filepath.Join(here, "got"), filepath.Join(there, "big")}},
			}
			done := make(chan outcome, 1)
			go func() {
				code, err := Run(ctx, control.NewClient(r.path), job)
				done <- outcome{code, err}
			}()
			waitFor(t, "the download to begin", func() bool {
				list, _ := filepath.Glob(filepath.Join(here, ".taskscaler-*", "data"))
				return len(list) > 0
			})
			c.end(r, end)
			if o := <-done; o.code != c.code || o.err == nil || !strings.Contains(o.err.Error(), "the command ended with exit code 5") {
				t.Errorf("%+v", o)
			}
			if list, err := os.ReadDir(here); err != nil || len(list) > 0 {
				t.Errorf("left: %v, %v", list, err)
			}
		})
	}
}

// TestVerdictAfterAnother: of several downloads, one whose local path is wrong does not acquit the instance that another one condemned.
func TestVerdictAfterAnother(t *testing.T) {
	bad, worse := verdict{control.UnhealthyDoubtful, "a"}, verdict{control.UnhealthyUnreachable, "b"}
	for _, c := range []struct{ first, next, want verdict }{
		{verdict{}, verdict{}, verdict{}}, {verdict{}, bad, bad}, {bad, verdict{}, bad}, {bad, worse, worse},
	} {
		if got := c.first.after(c.next); got != c.want {
			t.Errorf("%v after %v: %v", c.next, c.first, got)
		}
	}
}
