package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/taskscaler/taskscaler/internal/draw"
	"github.com/taskscaler/taskscaler/internal/nearest"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// valueOf returns a valid value for the key, as written in a file, and the value that the reader must return for it.
func valueOf(t *draw.T, k Key) (written string, meant any) {
	switch k.name() {
	case "os":
		return `"Linux"`, "linux"
	case "arch":
		return `"x64"`, "amd64"
	case "protocol":
		return `"winrm"`, "winrm"
	case "protocol_port":
		v := draw.Range(1, maxPort).Draw(t, k.Path)
		return fmt.Sprint(v), v
	case "capacity_per_instance":
		v := draw.Range(1, maxCapacity).Draw(t, k.Path)
		return fmt.Sprint(v), v
	case "adopt_preexisting":
		return `"remove"`, "remove"
	case "plugin":
		return `"group/openstack:1.5"`, "group/openstack:1.5"
	case "plugin_sha256":
		return `"` + strings.Repeat("AB", 32) + `"`, strings.Repeat("ab", 32)
	case "plugin_env":
		return `["A", "B=x"]`, []Secret{secret.New("A"), secret.New("B=x")}
	case "key_path":
		return `"keys/../id"`, "/etc/taskscaler/id"
	case "winrm_shell":
		return `"PowerShell"`, "powershell"
	case "winrm_auth": // basic is a fault without TLS
		return `"ntlm"`, "ntlm"
	case "winrm_ca_file":
		return `"keys/../ca.pem"`, "/etc/taskscaler/ca.pem"
	case "proxy_jump", "proxy_jump_known_hosts_path": // they need other keys, or exclude them
		return "", nil
	case "proxy_jump_host_key":
		return `"` + testHostKey + `"`, testHostKey
	case "proxy_jump_key_path", "proxy_jump_key_passphrase_path":
		return `"keys/../jump"`, "/etc/taskscaler/jump"
	case "key_passphrase_path": // beside key_passphrase it is a fault
		return "", nil
	case "key_file":
		return `"keys/../state"`, "/etc/taskscaler/state"
	case "encrypt": // true needs a key_file, which may be absent
		return "false", false
	case "max_size":
		v := draw.Range[int64](1, 1<<20).Draw(t, k.Path)
		return fmt.Sprintf(`"%d MiB"`, v), v << 20
	case "dir":
		return `"/var/lib/x"`, "/var/lib/x"
	}
	switch k.Type {
	case TypeString:
		v := draw.StringOf(draw.OneOf(draw.Range(' ', '~'), draw.From([]rune("é✓"))), 1, 20).Draw(t, k.Path)
		if strings.TrimSpace(v) == "" { // a fault for most keys
			v = "x" + v
		}
		return tomlString(t, v), v
	case TypeInteger:
		v := draw.Range(1, 1<<31-1).Draw(t, k.Path)
		return fmt.Sprint(v), v
	case TypeBoolean:
		v := draw.Bool().Draw(t, k.Path)
		return fmt.Sprint(v), v
	case TypeDuration:
		v := time.Duration(draw.Range(int64(minDuration), int64(maxDuration)).Draw(t, k.Path))
		return `"` + v.String() + `"`, v
	case TypeNumbers:
		v := []float64{draw.FloatRange(0, 1).Draw(t, k.Path), 2, 1e9}
		text, _ := json.Marshal(v) // of finite numbers
		return string(text), v
	}
	return "", nil
}

// tomlString writes v as one of TOML's kinds of strings.
func tomlString(t *draw.T, v string) string {
	if !strings.Contains(v, "'") && draw.Bool().Draw(t, "literal") {
		return "'" + v + "'"
	}
	out, err := toml.Marshal(map[string]string{"x": v})
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(strings.TrimPrefix(string(out), "x = "))
}

// fieldOf returns the field of a key under [runners.autoscaler]. The field has the key's name in Go spelling.
func fieldOf(a *Autoscaler, k Key) reflect.Value {
	v := reflect.ValueOf(*a)
	for _, part := range strings.Split(strings.TrimPrefix(k.Path, "runners.autoscaler."), ".") {
		name := nearest.Fold(part)
		switch {
		case strings.HasSuffix(name, "buckets"):
			v = v.FieldByName("Buckets")
			name = strings.TrimSuffix(strings.TrimPrefix(name, "instance"), "buckets")
		case strings.HasPrefix(name, "proxyjump"):
			v = v.FieldByName("ProxyJump")
			name = strings.TrimPrefix(name, "proxyjump")
		case name == "connectorconfig":
			name = "connector"
		case name == "scalethrottle":
			name = "throttle"
		}
		v = v.FieldByNameFunc(func(field string) bool { return strings.EqualFold(field, name) })
		if !v.IsValid() {
			return v
		}
	}
	return v
}

// Every value of every key under [runners.autoscaler] arrives in its field, for every layout of the file.
func TestRoundTrip(t *testing.T) {
	draw.Check(t, func(t *draw.T) {
		meant := map[string]any{}
		bySection := map[string][]string{}
		for _, k := range Keys() {
			if !strings.HasPrefix(k.Path, "runners.autoscaler.") || strings.Contains(k.Path, ".policy") {
				continue
			}
			if k.name() != "plugin" && draw.Range(0, 3).Draw(t, "absent") == 0 {
				continue
			}
			written, value := valueOf(t, k)
			if written == "" {
				continue
			}
			meant[k.Path] = value
			bySection[k.section()] = append(bySection[k.section()], k.name()+" = "+written)
		}
		text := spread(t, bySection)
		file, report := Parse("/etc/taskscaler/config.toml", []byte(text))
		if err := report.Err(); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		for _, k := range Keys() {
			want, set := meant[k.Path]
			if !set {
				continue
			}
			got := fieldOf(file.Runners[0].Autoscaler, k)
			if !got.IsValid() {
				t.Fatalf("no field holds %s", k.Path)
			}
			if secret, ok := got.Interface().(Secret); ok {
				got = reflect.ValueOf(secret.Reveal())
			}
			if fmt.Sprint(got.Interface()) != fmt.Sprint(want) {
				t.Fatalf("%s: got %v, want %v", k.Path, got, want)
			}
		}
	})
}

// spread writes the sections in random order, each as a table with a header, as dotted keys or as an inline table, with comments.
func spread(t *draw.T, bySection map[string][]string) string {
	const root = "runners.autoscaler"
	var paths []string
	for p := range bySection {
		if p != root {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	paths = draw.Permutation(paths).Draw(t, "order")
	top, tables := "[["+"runners]]\nexecutor = \"instance\"\n\n[runners.autoscaler] # the fleet\n"+strings.Join(bySection[root], "\n# and\n")+"\n", ""
	for _, p := range paths {
		relative := strings.TrimPrefix(p, root+".")
		nested := strings.HasPrefix(p, root+".vm_isolation") // its two tables must not be written in two styles
		switch style := draw.Range(0, 2).Draw(t, "style"); {
		case nested || style == 0:
			tables += "\n  [" + p + "]\n    " + strings.Join(bySection[p], "\n    ") + "\n"
		case style == 1:
			for _, line := range bySection[p] {
				top += relative + " . " + line + "\n"
			}
		default:
			top += relative + " = { " + strings.Join(bySection[p], ", ") + " }\n"
		}
	}
	return top + tables
}

// A key with one changed letter is reported at its line, and the right key is suggested.
func TestEveryMisspellingIsFound(t *testing.T) {
	var keys []Key
	for _, k := range Keys() {
		if strings.HasPrefix(k.Path, "runners.autoscaler.") && len(nearest.Fold(k.name())) > 4 {
			keys = append(keys, k)
		}
	}
	draw.Check(t, func(t *draw.T) {
		k := draw.From(keys).Draw(t, "key")
		name := k.name()
		at := draw.Range(1, len(name)-1).Draw(t, "at")
		wrong := draw.From([]string{name[:at] + name[at+1:], name[:at] + "x" + name[at:], name[:at] + "q" + name[at+1:]}).Draw(t, "wrong")
		if len(homes[wrong]) > 0 || nearest.Fold(wrong) == nearest.Fold(name) {
			t.Skip("still a key, or only its separators changed")
		}
		blank := draw.Range(0, 9).Draw(t, "blank lines")
		text := "[[runners]]\n" + strings.Repeat("# nothing\n", blank) + openSection(k.section()) + "\n\n" + wrong + " = 1\n"
		faults := ValidateFragment("f.toml", []byte(text)).Faults()
		if len(faults) != 1 || faults[0].Code != CodeUnknownKey || faults[0].Line != blank+4 || !strings.Contains(faults[0].Remedy, `"`+name+`"`) {
			t.Fatalf("%s as %s: got %v", k.Path, wrong, faults)
		}
	})
}

// openSection returns the header of a section. The header of a table below a policy must not open the policy too.
func openSection(section string) string {
	if strings.HasSuffix(section, ".policy") {
		return "[[" + section + "]]"
	}
	if before, ok := strings.CutSuffix(section, ".policy.scale_throttle"); ok {
		return "[" + before + ".scale_throttle]"
	}
	return "[" + section + "]"
}

// A value is reported at its position, for every layout of the document. The expected position comes from a search in the text.
func TestPositions(t *testing.T) {
	draw.Check(t, func(t *draw.T) {
		var b strings.Builder
		filler := func() {
			b.WriteString(draw.From([]string{"", "\n", "# [runners]\n", "\r\n", "  \t# x = 1\n"}).Draw(t, "filler"))
		}
		filler()
		b.WriteString("[[runners]]\n")
		filler()
		b.WriteString("text = \"\"\"\n[runners.autoscaler]\nmax_instances = -1\n\"\"\"\n") // looks like our section, but is a string
		filler()
		b.WriteString(draw.From([]string{
			"[runners.autoscaler]\n", "[ runners . \"autoscaler\" ]\n", "['runners'.autoscaler] # it\n"}).Draw(t, "header"))
		filler()
		indent := draw.From([]string{"", "  ", "\t"}).Draw(t, "indent")
		start := b.Len()
		b.WriteString(indent + "max_instances = -7\n")
		text := b.String()
		line := strings.Count(text[:start], "\n") + 1
		faults := ValidateFragment("f.toml", []byte(text)).Faults()
		if len(faults) != 1 || faults[0].Line != line || faults[0].Column != len(indent)+1 {
			t.Fatalf("want line %d, column %d: got %+v in\n%s", line, len(indent)+1, faults, text)
		}
	})
}

// A plain table becomes the JSON that the TOML decoder and encoding/json give for it.
func TestPluginConfigIsTheTable(t *testing.T) {
	key := func(more string, most int) draw.Gen[string] {
		return draw.StringOf(draw.OneOf(draw.Range('a', 'z'), draw.From([]rune(more))), 0, most)
	}
	value := draw.OneOf(
		draw.Just[any](true), draw.Map(draw.Int64(), func(v int64) any { return v }), draw.Map(draw.String(), func(v string) any { return v }),
		draw.Map(draw.Slice(draw.Int64(), 0, 3), func(v []int64) any { return v }),
		draw.Map(draw.MapOf(key(`. "`, 4), draw.String(), 3), func(v map[string]string) any { return v }),
	)
	draw.Check(t, func(t *draw.T) {
		table := draw.MapOf(key(". é", 5), value, 5).Draw(t, "table")
		document := map[string]any{"runners": map[string]any{"autoscaler": map[string]any{"plugin_config": table}}}
		text, err := toml.Marshal(document)
		if err != nil {
			t.Skip("the encoder refuses it")
		}
		var again map[string]any
		if toml.Unmarshal(text, &again) != nil {
			t.Skip("the encoder wrote what the decoder refuses")
		}
		want, err := json.Marshal(again["runners"].(map[string]any)["autoscaler"].(map[string]any)["plugin_config"])
		if err != nil {
			t.Fatal(err)
		}
		file, report := Parse("c.toml", text)
		if file == nil {
			t.Fatal(report.Err())
		}
		if got := string(file.Runners[0].Autoscaler.PluginConfig.Raw()); got != string(want) && !(string(want) == "null" && got == "{}") {
			t.Fatalf("got %s, want %s", got, want)
		}
	})
}
