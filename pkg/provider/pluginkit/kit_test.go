package pluginkit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/pluginkit"
)

// TestConnect: what the operator set wins, and nothing that they set is mixed with what the plugin found.
func TestConnect(t *testing.T) {
	type config = provider.ConnectorConfig
	found := config{OS: "linux", Arch: "arm64", Protocol: provider.ProtocolSSH, ProtocolPort: 2222, Username: "ubuntu", Key: []byte("K"), Timeout: time.Minute, Keepalive: time.Second}
	for name, c := range map[string]struct {
		set, found, want config
	}{
		"nothing set": {config{}, found, found},
		"all set": {
			config{OS: "windows", Arch: "amd64", Protocol: provider.ProtocolWinRM, ProtocolPort: 1, Username: "u", Password: "p", Timeout: 1, Keepalive: -1}, found,
			config{OS: "windows", Arch: "amd64", Protocol: provider.ProtocolWinRM, ProtocolPort: 1, Username: "u", Password: "p", Timeout: 1, Keepalive: -1},
		},
		"a password set":             {config{Password: "p"}, config{Key: []byte("K"), Username: "u"}, config{Password: "p", Username: "u"}},
		"a key set":                  {config{Key: []byte("O")}, config{Password: "p", Key: []byte("K")}, config{Key: []byte("O")}},
		"static":                     {config{UseStaticCredentials: true}, found, config{UseStaticCredentials: true, OS: "linux", Arch: "arm64", Protocol: "ssh", ProtocolPort: 2222, Timeout: time.Minute, Keepalive: time.Second}},
		"another protocol set":       {config{Protocol: provider.ProtocolWinRMHTTPS}, config{ProtocolPort: 2222}, config{Protocol: provider.ProtocolWinRMHTTPS}},
		"the same protocol":          {config{Protocol: provider.ProtocolSSH}, config{ProtocolPort: 2222}, config{Protocol: provider.ProtocolSSH, ProtocolPort: 2222}},
		"windows set, an SSH port":   {config{OS: "Windows"}, config{ProtocolPort: 2222}, config{OS: "Windows"}},
		"windows found, with a port": {config{}, config{OS: "windows", ProtocolPort: 15985}, config{OS: "windows", ProtocolPort: 15985}},
	} {
		at := time.Now()
		from := provider.ConnectInfo{ConnectorConfig: c.found, ID: "i", InternalAddr: "10.0.0.1", ExternalAddr: "e", Expires: &at, HostKeys: []string{"k"}}
		got := pluginkit.Connect(provider.Settings{ConnectorConfig: c.set}, from)
		want := from
		want.ConnectorConfig = c.want
		a, err := got.RevealJSON()
		b, err2 := want.RevealJSON()
		if err != nil || err2 != nil || !bytes.Equal(a, b) {
			t.Errorf("%s:\n%s, want\n%s", name, a, b)
		}
	}
}

func TestStates(t *testing.T) {
	var told []string
	s := pluginkit.NewStates(map[string]provider.State{"ACTIVE": provider.StateRunning, "shutoff": provider.StateDeleting}, provider.StateCreating,
		func(word string) { told = append(told, word) })
	for word, want := range map[string]provider.State{"active": provider.StateRunning, "Active": provider.StateRunning, "SHUTOFF": provider.StateDeleting, "REBUILD": provider.StateCreating} {
		if got := s.Of(word); got != want {
			t.Errorf("%s is %s, want %s", word, got, want)
		}
	}
	s.Of("rebuild")
	for i := range 200 {
		s.Of(fmt.Sprint("odd", i))
		s.Of(fmt.Sprint("odd", i))
	}
	if len(told) != 64 || told[0] != "REBUILD" {
		t.Errorf("%d words were reported: %v", len(told), told[0])
	}
	quiet := pluginkit.NewStates(nil, provider.StateCreating, nil)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if got := quiet.Of("x"); got != provider.StateCreating {
				t.Errorf("x is %s", got)
			}
		})
	}
	all.Wait()
}

func TestFaults(t *testing.T) {
	var none pluginkit.Faults
	none.Required("a", "x")
	none.OneOf("a", "x", "x", "y")
	none.OneOf("a", "", "x", "y")
	none.AtLeast("a", 1, 1)
	none.NotNegative("a", 0)
	none.Check("a", nil)
	if err := none.Err(); err != nil {
		t.Errorf("no fault is %v", err)
	}
	var f pluginkit.Faults
	f.Required("region", " ")
	f.OneOf("zone", "c", "a", "b")
	f.AtLeast("disk.size", 5, 10)
	f.NotNegative("wait", provider.Duration(-time.Second))
	f.Check("name", pluginkit.Names{Prefix: "A"}.Check())
	want := `config: plugin_config: region is missing; zone is "c", and must be one of a, b; disk.size is 5, and must be at least 10; ` +
		`wait is -1s, and must not be negative; name must begin with a letter of a–z, not with "A"`
	if err := f.Err(); provider.KindOf(err) != provider.KindConfig || err.Error() != want {
		t.Errorf("%v, want\n%s", err, want)
	}
}

func TestSlog(t *testing.T) {
	var out bytes.Buffer
	h := hclog.New(&hclog.LoggerOptions{Output: &out, JSONFormat: true, Level: hclog.Trace})
	log := pluginkit.Slog(h)
	log.With("group", "g").WithGroup("disk").With(slog.Int("size", 5)).Warn("slow", "ms", 12, slog.Group("by", "id", "i-1"), slog.Group("", "flat", true), slog.Attr{})
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "@timestamp")
	if s := fmt.Sprint(got); s != "map[@level:warn @message:slow disk.by.id:i-1 disk.flat:true disk.ms:12 disk.size:5 group:g]" {
		t.Error(s)
	}
	for l, want := range map[slog.Level]string{slog.LevelDebug - 4: "trace", slog.LevelDebug: "debug", slog.LevelInfo: "info", slog.LevelWarn: "warn", slog.LevelError: "error", slog.LevelError + 4: "error"} {
		out.Reset()
		log.Log(t.Context(), l, "x")
		if !strings.Contains(out.String(), `"@level":"`+want+`"`) {
			t.Errorf("%v: %s", l, out.String())
		}
	}
	h.SetLevel(hclog.Info)
	if log.Enabled(t.Context(), slog.LevelDebug) || !log.Enabled(t.Context(), slog.LevelInfo) {
		t.Error("the level of the host's logger is not used")
	}
	pluginkit.Slog(nil).Info("nothing happens")
}
