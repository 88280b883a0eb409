package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// patch is one fault: a unified diff below a header that says what it breaks.
type patch struct {
	name      string // file name without .patch
	path      string
	breaks    string
	invariant string // the invariant of design §5 that it breaks, or another expected effect
	suite     string // the suite that must find it: suiteDST or suiteShell
	files     []string
	diff      []byte
}

// The suites that a patch can name.
const (
	suiteDST   = "dst"
	suiteShell = "shell"
)

// room is the package of the fault.
func (p *patch) room() string { return filepath.Dir(p.files[0]) }

var fileName = regexp.MustCompile(`^\d{3}-[a-z0-9-]+\.patch$`)

// readPatches reads all patches of dir, in the order of their names. It reports the faults of all files.
func readPatches(dir string) ([]*patch, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []*patch
	var faults []error
	for _, e := range entries {
		if !fileName.MatchString(e.Name()) {
			faults = append(faults, fmt.Errorf("%s: name a patch NNN-name.patch, in lower-case letters and digits", filepath.Join(dir, e.Name())))
			continue
		}
		p, err := readPatch(filepath.Join(dir, e.Name()))
		if err != nil {
			faults = append(faults, err)
			continue
		}
		if len(all) > 0 && all[len(all)-1].name[:3] == p.name[:3] {
			faults = append(faults, fmt.Errorf("%s: its number is also used by %s", p.path, all[len(all)-1].name))
		}
		all = append(all, p)
	}
	return all, errors.Join(faults...)
}

func readPatch(path string) (*patch, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p, err := parsePatch(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	p.path, p.name = path, strings.TrimSuffix(filepath.Base(path), ".patch")
	return p, nil
}

// parsePatch reads "key: value" lines up to the first line of the diff. A line that begins with a space continues the value above it.
func parsePatch(text string) (*patch, error) {
	at := strings.Index(text, "--- a/")
	if at < 0 || at > 0 && text[at-1] != '\n' {
		return nil, errors.New(`no diff: it begins with a line "--- a/FILE"`)
	}
	p := &patch{diff: []byte(text[at:])}
	keys := map[string]*string{"breaks": &p.breaks, "invariant": &p.invariant, "killed-by": &p.suite}
	var last *string
	for n, line := range strings.Split(strings.TrimSpace(text[:at]), "\n") {
		key, value, ok := strings.Cut(line, ":")
		switch {
		case strings.HasPrefix(line, " ") && last != nil:
			*last += " " + strings.TrimSpace(line)
		case !ok || keys[key] == nil:
			return nil, fmt.Errorf("line %d: %q is not one of breaks:, invariant: and killed-by: lines", n+1, line)
		default:
			last = keys[key]
			*last = strings.TrimSpace(value)
		}
	}
	if p.breaks == "" || p.invariant == "" {
		return nil, errors.New("the header must say breaks: and invariant: each with a text")
	}
	if p.suite != suiteDST && p.suite != suiteShell {
		return nil, fmt.Errorf("killed-by is %q: write %s or %s", p.suite, suiteDST, suiteShell)
	}
	for _, line := range strings.Split(string(p.diff), "\n") {
		if file, ok := strings.CutPrefix(line, "--- a/"); ok {
			p.files = append(p.files, file)
		}
	}
	for _, f := range p.files {
		if !filepath.IsLocal(f) || filepath.Ext(f) != ".go" || strings.HasSuffix(f, "_test.go") {
			return nil, fmt.Errorf("%s: a patch changes Go files of the tree, and no tests", f)
		}
	}
	return p, nil
}

// notApplied says that a patch does not fit the tree.
type notApplied struct {
	patch, why string
}

// Error says what to do.
func (e *notApplied) Error() string {
	return fmt.Sprintf("%s does not apply: %s\nupdate it by hand to the current code, or remove it", e.patch, e.why)
}

// apply makes mutated copies of the patch's files below dir. It returns them by the path of the original.
func (p *patch) apply(ctx context.Context, root, dir string) (map[string]string, error) {
	copies := make(map[string]string, len(p.files))
	for _, f := range p.files {
		text, err := os.ReadFile(filepath.Join(root, f))
		if errors.Is(err, os.ErrNotExist) {
			return nil, &notApplied{p.name, "there is no " + f}
		} else if err != nil {
			return nil, err
		}
		to := filepath.Join(dir, f)
		if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, text, 0o644)); err != nil {
			return nil, err
		}
		copies[filepath.Join(root, f)] = to
	}
	cmd := exec.CommandContext(ctx, "git", "apply", "-C1", "--whitespace=nowarn", "-")
	cmd.Dir = dir
	// git must not use a repository around the temporary folder, or one that a hook of the caller names
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "GIT_") }), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
	cmd.Stdin = bytes.NewReader(p.diff)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, &notApplied{p.name, strings.TrimSpace(string(out))}
	}
	return copies, nil
}

// writeOverlay writes the file for go's -overlay flag and returns its path.
func writeOverlay(dir string, copies map[string]string) (string, error) {
	text, err := json.Marshal(map[string]any{"Replace": copies})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, text, 0o644)
}

// refresh writes the patch again, as the difference between the tree and the mutated copies, with two lines of context.
func (p *patch) refresh(ctx context.Context, root string) error {
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	copies, err := p.apply(ctx, root, dir)
	if err != nil {
		return err
	}
	var diff bytes.Buffer
	for _, f := range p.files {
		from := filepath.Join(root, f)
		out, err := exec.CommandContext(ctx, "diff", "-U2", "--label", "a/"+f, "--label", "b/"+f, from, copies[from]).Output()
		if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
			return fmt.Errorf("diff: %w", err)
		}
		diff.Write(out)
	}
	header := fmt.Sprintf("breaks: %s\ninvariant: %s\nkilled-by: %s\n\n", p.breaks, p.invariant, p.suite)
	return os.WriteFile(p.path, append([]byte(header), diff.Bytes()...), 0o644)
}
