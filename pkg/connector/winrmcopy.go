package connector

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Copies over WinRM are made by two scripts of Windows PowerShell, one for each direction. They talk to this side in lines of ASCII, which no code page
// changes. A line is a word and its arguments, with a space between them, and ends with a line feed. PATH, NAME and DATA are in base64, and the first two are UTF-8
// before that. A PATH is relative to the home or absolute, with slashes. Folders come before what is in them. Names have slashes.
//
// An upload sends to winrmupload.ps1:
//
//	target PATH TEMP  the target, and the name of the folder beside it that holds the copy until it is whole
//	folder NAME       a folder. NAME is below TEMP: "data" is the copy itself
//	file NAME         a file, to which the data lines after it belong
//	data DATA
//	commit SHA-256    of all lines before, in hex. The copy gets its name, and TEMP is removed
//
// At the end of its input the script answers "whole" if the copy has its name. Otherwise it removes TEMP, writes the reason to stderr, and exits with 1.
//
// A download sends one line to winrmdownload.ps1, the PATH alone. The script answers:
//
//	folder NAME       "." is the copied folder itself, and what is in it begins with "./"
//	file NAME SIZE
//	data DATA
//	end SHA-256       of all lines before, in hex
const (
	lineTarget = "target"
	lineFolder = "folder"
	lineFile   = "file"
	lineData   = "data"
	lineCommit = "commit"
	lineEnd    = "end"
	saidWhole  = "whole"
)

// Upload implements Copier. A CopyOptions.Remote may have backslashes.
func (c *winrmClient) Upload(ctx context.Context, opts CopyOptions) error {
	return uploadPowerShell(ctx, c, opts)
}

// Download implements Copier.
func (c *winrmClient) Download(ctx context.Context, opts CopyOptions) error {
	return downloadPowerShell(ctx, c, opts)
}

// copyCommand returns the command line that runs one of the scripts, without its comments and indentation. cmd.exe takes no long line.
func copyCommand(script string) string {
	return powershell + encodeScript(bareScript(script))
}

// bareScript returns a script without its comments, empty lines and indentation.
func bareScript(script string) string {
	var lines []string
	for line := range strings.Lines(script) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

func inBase64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// withSlashes returns o with slashes in Remote.
func (o CopyOptions) withSlashes() CopyOptions {
	o.Remote = strings.ReplaceAll(o.Remote, `\`, "/")
	return o
}

// windowsTarget returns the path of the target on an instance with Windows.
func (o CopyOptions) windowsTarget() (string, error) {
	target, err := windowsPath(o.Remote)
	if err != nil {
		return "", err
	}
	if strings.HasSuffix(o.withSlashes().Remote, "/") {
		local, err := filepath.Abs(o.Local)
		if err != nil {
			return "", err
		}
		base := filepath.Base(local)
		if err := windowsName(base); err != nil {
			return "", err
		}
		target = path.Join(target, base)
	}
	if base := path.Base(target); base == "/" || base == "." || base == ".." || strings.HasSuffix(target, "/") {
		return "", errNoName
	}
	return target, nil
}

// windowsPath returns a path of Windows in its shortest form, with slashes. ~/ is the home, where relative paths start too.
func windowsPath(p string) (string, error) {
	p = strings.ReplaceAll(p, `\`, "/")
	if strings.HasPrefix(p, "//") {
		return "", fmt.Errorf(`%s names a network share or a device, which a login over WinRM cannot use: write a path with a drive letter`, p)
	}
	drive := ""
	if len(p) > 1 && p[1] == ':' && p[0] < utf8.RuneSelf && unicode.IsLetter(rune(p[0])) {
		if drive, p = p[:2], p[2:]; !strings.HasPrefix(p, "/") {
			return "", fmt.Errorf("%s is no absolute path: write a slash after the colon of the drive", drive+p)
		}
	}
	p, err := remotePath(p)
	if err != nil {
		return "", err
	}
	return drive + p, windowsName(p)
}

// windowsName returns an error for a path with a name that Windows does not have, or that it would take for another one: a\b for b in the folder a, a:b
// for a part of a, and "a." for a.
func windowsName(p string) error {
	for name := range strings.SplitSeq(p, "/") {
		bad := func(r rune) bool { return r < ' ' || strings.ContainsRune(`<>:"|?*\`, r) }
		switch {
		case name == "." || name == "..":
		case !utf8.ValidString(name), strings.ContainsFunc(name, bad), strings.HasSuffix(name, "."), strings.HasSuffix(name, " "), isDevice(name):
			return fmt.Errorf("no file or folder of Windows can have the name %q: use another name", name)
		}
	}
	return nil
}

// isDevice reports whether name is a device in every folder of Windows, as NUL and nul.txt are.
func isDevice(name string) bool {
	name, _, _ = strings.Cut(name, ".")
	name = strings.ToUpper(strings.TrimRight(name, " "))
	if slices.Contains([]string{"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}, name) {
		return true
	}
	number, ok := strings.CutPrefix(name, "COM")
	if !ok {
		number, ok = strings.CutPrefix(name, "LPT")
	}
	return ok && utf8.RuneCountInString(number) == 1 && strings.Contains("0123456789¹²³", number)
}

// errWindowsLink is why a folder with a symlink is not uploaded.
var errWindowsLink = errors.New("it is a symlink, which cannot be copied over WinRM: leave it out of the folder, or put the file in its place")
