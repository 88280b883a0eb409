package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// About is what a plugin says of itself without a configuration. Texts are printable lines; empty: it does not say.
type About struct {
	Name         string
	Version      string
	Revision     string   // commit of the source
	Reference    string   // branch or tag of the source
	GoVersion    string   // that it was built with
	BuiltAt      string   // time of the build
	Platform     string   // os/arch
	Protocol     int      // version of the protocol that it was used with
	Capabilities []string // see provider.Capability
}

const (
	maxVersionText = 16 << 10         // bytes of the output of version that are read
	versionTime    = 10 * time.Second // how long it may take
)

// Ask starts a plugin without a configuration, as far as needed to see that it is one that this host can use, and ends it. Then it runs the plugin's command
// version. Init is not called, so the plugin reaches no cloud. Config, Dir and StateDir of opts are not used. If it is no plugin, the error is a *[LaunchError].
func Ask(ctx context.Context, opts LaunchOptions) (About, error) {
	opts.Config, opts.Dir, opts.StateDir = nil, "", ""
	p, err := Launch(ctx, opts)
	if err != nil {
		return About{}, err
	}
	if err := p.Close(ctx); err != nil {
		return About{}, err
	}
	text, err := askVersion(ctx, p.opts)
	if err != nil {
		return About{}, fmt.Errorf("run %s version: %w", p.opts.Path, err)
	}
	return parseAbout(text), nil
}

// askVersion runs the plugin with the argument version, and returns the beginning of its output.
func askVersion(ctx context.Context, o LaunchOptions) (string, error) {
	dir, err := newSocketDir()
	if err != nil {
		return "", err
	}
	defer dir.remove()
	binary := o.Path
	if o.SHA256 != "" { // the same bytes as before
		if binary, err = copyChecked(o.Path, o.SHA256, o.SHA256From, dir.path); err != nil {
			return "", err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "version")
	cmd.Args[0], cmd.Env, cmd.Dir, cmd.WaitDelay = o.Path, childEnv(os.Environ(), o.Env), dir.path, drainPipes
	isolate(cmd)
	cmd.Cancel = func() error { return killGroup(cmd.Process.Pid) }
	var out strings.Builder
	cmd.Stdout = &limitedWriter{&out, maxVersionText}
	if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return "", err
	}
	return out.String(), nil
}

// limitedWriter writes the first bytes and swallows the rest.
type limitedWriter struct {
	w    io.Writer
	left int
}

func (l *limitedWriter) Write(b []byte) (int, error) {
	if n := min(len(b), l.left); n > 0 {
		l.left -= n
		if _, err := l.w.Write(b[:n]); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// parseAbout reads the output of version. Lines that it does not know are left out.
func parseAbout(text string) About {
	a := About{Protocol: protocolVersion}
	fields := map[string]*string{
		"Name": &a.Name, "Version": &a.Version, "Git revision": &a.Revision, "Git reference": &a.Reference, "GO version": &a.GoVersion, "Built": &a.BuiltAt,
		"OS/Arch": &a.Platform,
	}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, ":")
		value = safetext.Line(strings.TrimSpace(value), maxAbout)
		switch field, known := fields[strings.TrimSpace(key)]; {
		case value == "unknown" || value == "":
		case known:
			*field = value
		case key == "Capabilities":
			a.Capabilities = strings.Fields(strings.ReplaceAll(value, ",", " "))
		case key == "Protocol":
			if n, err := strconv.Atoi(value[strings.LastIndexByte(value, ' ')+1:]); err == nil {
				a.Protocol = n
			}
		}
	}
	return a
}

// checkVersion compares the version that the plugin says it has with LaunchOptions.Version.
func (p *Process) checkVersion(text string) error {
	want := constraint(p.opts.Version)
	if want.any() {
		return nil
	}
	has, ok := parseVersion(text)
	switch {
	case !ok:
		p.log.Warn("whether the plugin has the version that the configuration asks for is not known", slog.String("asked", p.opts.Version), slog.String("version", text))
	case !want.allows(has):
		return provider.Errorf(provider.KindConfig, "%s is version %s, but the configuration asks for %s: install that version, or correct the version after the name of the plugin",
			p.opts.Path, text, p.opts.Version)
	}
	return nil
}
