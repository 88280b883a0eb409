// Package scaffold writes a new plugin that works at once: that of examples/plugin, with another name.
package scaffold

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/taskscaler/taskscaler/pkg/provider/pluginkit"
)

//go:generate go test -run ^TestTemplate$ -update .

// template has the files of examples/plugin, with tokens for its names. Each has a further suffix, because package embed takes no module in a module.
//
//go:embed all:template
var template embed.FS

// Tokens of the template, and what is in their place in examples/plugin.
const (
	moduleToken   = "__MODULE__"
	nameToken     = "__NAME__"
	suffix        = ".tmpl"
	exampleModule = "github.com/taskscaler/taskscaler/examples/plugin"
	exampleName   = "shed"

	library        = "github.com/taskscaler/taskscaler"
	libraryVersion = "v0.1.0" // in the template
)

// Prefix begins the names of the binaries of plugins.
const Prefix = "fleeting-plugin-"

// Plugin says what to write.
type Plugin struct {
	Name    string // without Prefix
	Module  string // the path of its module
	Dir     string // the folder to write; see CheckDir
	Replace string // an absolute path that stands for taskscaler's module; "": the released one
	Version string // of taskscaler's module; "": that of the template
}

// NameError is a name that cannot be used.
type NameError struct{ text string }

// Error says what is wrong and what to do.
func (e *NameError) Error() string { return e.text }

func wrongf(format string, args ...any) error { return &NameError{fmt.Sprintf(format, args...)} }

// CheckName returns a *NameError if a plugin cannot have the name.
func CheckName(name string) error {
	if short, has := strings.CutPrefix(name, Prefix); has {
		return wrongf("the name %q has the prefix already: give the name without it, %q", name, short)
	}
	if err := (pluginkit.Names{Prefix: name}).Check(); err != nil {
		return wrongf("the name %.60q of the plugin %v: choose one such as %q", name, err, "mycloud")
	}
	return nil
}

var (
	moduleHost    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`)
	moduleElement = regexp.MustCompile(`^[A-Za-z0-9_~-]([A-Za-z0-9._~-]*[A-Za-z0-9_~-])?$`)
)

// CheckModule returns a *NameError if a module cannot have the path.
func CheckModule(module string) error {
	elements := strings.Split(module, "/")
	switch {
	case !moduleHost.MatchString(elements[0]):
		return wrongf("the module path %.100q must begin with a host name, such as github.com/you/%smycloud", module, Prefix)
	case len(elements) < 2:
		return wrongf("the module path %.100q is only a host name: add the path of the repository, such as %s/you/%smycloud", module, elements[0], Prefix)
	}
	for _, e := range elements[1:] {
		if !moduleElement.MatchString(e) {
			return wrongf("the module path %.100q has the element %.40q, which a module path cannot have: use letters, digits, hyphens, dots inside, and underscores", module, e)
		}
	}
	if module == library || strings.HasPrefix(module, library+"/") {
		return wrongf("the module path %s belongs to taskscaler: choose one of your own", module)
	}
	return nil
}

// CheckDir returns an error if the folder cannot be written: it may be absent, or empty apart from .git. The folder above it must exist.
func CheckDir(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		above := filepath.Dir(filepath.Clean(dir))
		if info, err := os.Stat(above); err != nil || !info.IsDir() {
			return fmt.Errorf("there is no folder %s: create it, or choose another one with --dir", above)
		}
		return nil
	case err != nil:
		return fmt.Errorf("the folder for the plugin cannot be used: %w", err)
	}
	for _, e := range entries {
		if e.Name() != ".git" {
			return fmt.Errorf("the folder %s is not empty (it has %s): choose another one with --dir", dir, e.Name())
		}
	}
	return nil
}

// Write checks everything, and writes the plugin: all files, or none. It returns their paths in the folder.
func Write(p Plugin) (files []string, err error) {
	if err := errors.Join(CheckName(p.Name), CheckModule(p.Module)); err != nil {
		return nil, err
	}
	if err := CheckDir(p.Dir); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(p.Dir)
	if err != nil {
		return nil, err
	}
	half, err := os.MkdirTemp(filepath.Dir(dir), ".new-plugin-")
	if err != nil {
		return nil, fmt.Errorf("the folder for the plugin cannot be written: %w", err)
	}
	defer os.RemoveAll(half)
	if files, err = p.fill(half); err != nil {
		return nil, err
	}
	return files, move(half, dir)
}

// fill writes all files into a folder.
func (p Plugin) fill(dir string) (files []string, err error) {
	root, err := fs.Sub(template, "template")
	if err != nil {
		return nil, err
	}
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		name = strings.TrimSuffix(name, suffix)
		files = append(files, name)
		to := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.WriteFile(to, []byte(p.text(name, string(text))), 0o644)
	})
	return files, err
}

// text returns the text of one file.
func (p Plugin) text(name, template string) string {
	text := strings.NewReplacer(moduleToken, p.Module, nameToken, p.Name).Replace(template)
	if path.Base(name) != "go.mod" {
		return text
	}
	if p.Version != "" {
		text = strings.Replace(text, library+" "+libraryVersion, library+" "+p.Version, 1)
	}
	if p.Replace != "" {
		where := p.Replace
		if strings.ContainsAny(where, " \t\"'`()[]{},") {
			where = strconv.Quote(where)
		}
		text += "\nreplace " + library + " => " + where + "\n"
	}
	return text
}

// move gives a folder its name, or moves what is in it into the folder that has the name.
func move(half, dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := os.Chmod(half, 0o755); err != nil {
			return err
		}
		return os.Rename(half, dir)
	}
	entries, err := os.ReadDir(half)
	if err != nil {
		return err
	}
	var moved []string
	for _, e := range entries {
		to := filepath.Join(dir, e.Name())
		if err := os.Rename(filepath.Join(half, e.Name()), to); err != nil {
			for _, m := range slices.Backward(moved) {
				_ = os.RemoveAll(m)
			}
			return fmt.Errorf("the plugin cannot be written: %w", err)
		}
		moved = append(moved, to)
	}
	return nil
}
