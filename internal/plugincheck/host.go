package plugincheck

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/conformance"
)

// orphanTarget is a Target that can start a host of its own.
type orphanTarget struct{ *Target }

// hosted is what a host process is told on its standard input. It holds secrets.
type hosted struct {
	Path, Dir, StateDir, SHA256 string
	Insecure                    bool
	Env                         []string
	Config                      json.RawMessage
	Connector                   json.RawMessage // a provider.ConnectInfo with its secrets
	InitTimeout                 time.Duration
}

const readyLine = "ready"

// Orphan implements conformance.Orphaner.
func (t orphanTarget) Orphan(ctx context.Context) error {
	mark := t.mark + "-orphan"
	l := t.launch
	t.mu.Lock()
	settings := t.settings.Reveal()
	t.mu.Unlock()
	connector, err := provider.ConnectInfo{ConnectorConfig: settings.ConnectorConfig}.RevealJSON()
	if err != nil {
		return err
	}
	input, err := json.Marshal(hosted{
		Path: l.Path, Dir: l.Dir, StateDir: l.StateDir, SHA256: l.SHA256, Insecure: l.InsecurePath, Config: l.Config, InitTimeout: l.InitTimeout,
		Connector: connector, Env: append(append([]string{}, l.Env...), marker+"="+mark),
	})
	if err != nil {
		return err
	}
	cmd := t.host()
	cmd.Stdin = bytes.NewReader(input)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	said, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting a host: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	line, _ := bufio.NewReader(said).ReadString('\n') // without a line, its complaint says why
	killed := cmd.Process.Kill()
	_ = cmd.Wait() // it was killed
	if text := strings.TrimSpace(line); text != readyLine {
		return fmt.Errorf("the host did not start the plugin: %s", strings.TrimSpace(text+" "+complaint.String()))
	}
	if killed != nil {
		return killed
	}
	if left := awaitEnd(ctx, mark, orphanPatience); len(left) > 0 {
		return &conformance.OutlivedError{Left: left}
	}
	return nil
}

// Host is the host that Orphan kills: it launches the plugin that it is told on in, says so on out, and waits until it is killed.
func Host(ctx context.Context, in io.Reader, out io.Writer) error {
	var h hosted
	if err := json.NewDecoder(in).Decode(&h); err != nil {
		return fmt.Errorf("reading what to launch: %w", err)
	}
	var info provider.ConnectInfo
	if err := json.Unmarshal(h.Connector, &info); err != nil {
		return fmt.Errorf("reading the settings: %w", err)
	}
	p, err := plugin.Launch(ctx, plugin.LaunchOptions{
		Path: h.Path, Dir: h.Dir, StateDir: h.StateDir, SHA256: h.SHA256, InsecurePath: h.Insecure, Env: h.Env, Config: h.Config, InitTimeout: h.InitTimeout,
	})
	if err != nil {
		return err
	}
	defer func() { _ = p.Close(context.WithoutCancel(ctx)) }()
	if _, err := p.Init(ctx, nil, provider.Settings{ConnectorConfig: info.ConnectorConfig}); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, readyLine); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}
