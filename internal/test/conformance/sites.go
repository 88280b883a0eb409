package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// site is a plugin with what it needs.
type site struct {
	plugin string
	config string // plugin_config in TOML; DIR stands for a folder of its own
	files  map[string]string
	flags  []string

	autoscaler string // more keys of [runners.autoscaler]; tables may follow
}

// script keeps each machine as a folder. The group holds three.
const script = `#!/bin/sh
dir=DIR/machines; mkdir -p "$dir"; verb=$1; shift
case $verb in
list) for m in "$dir"/m-*; do [ -d "$m" ] && echo "${m##*/} running 127.0.0.1:22"; done; exit 0;;
create)
  n=0
  while [ $n -lt "$1" ]; do
    [ "$(ls -d "$dir"/m-* 2>/dev/null | wc -l)" -lt 3 ] || { echo "all three machines are in use" >&2; exit 69; }
    m=$(mktemp -d "$dir/m-XXXXXX") && echo "${m##*/}" || exit 1
    n=$((n+1))
  done;;
delete)
  for id; do
    rmdir "$dir/$id" 2>/dev/null
    echo "$id"
  done;;
esac
`

// sites returns the plugins of this repository. The instances of fake and shed are connected to; those of the others are only names.
func sites() []site {
	none := []string{"--no-connect"}
	return []site{
		{plugin: "fake", config: `name = "conformance"
max_size = 3`},
		{plugin: "static", flags: none, config: `name = "conformance"
no_check = true
[runners.autoscaler.plugin_config.instances.a]
internal_addr = "127.0.0.1:2201"
[runners.autoscaler.plugin_config.instances.b]
internal_addr = "127.0.0.1:2202"
[runners.autoscaler.plugin_config.instances.c]
internal_addr = "127.0.0.1:2203"`},
		{plugin: "script", flags: none, files: map[string]string{"vm.sh": script}, config: `name = "conformance"
max_size = 3
script = ["DIR/vm.sh"]`},
		{plugin: "shed", config: `name = "conformance"
max_size = 3`},
	}
}

// write writes the configuration into a folder below dir, and returns its path.
func (s site) write(dir string) (string, error) {
	own := filepath.Join(dir, s.plugin)
	if err := os.Mkdir(own, 0o700); err != nil {
		return "", err
	}
	text := fmt.Sprintf("[[runners]]\nname = %q\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = %q\nmax_instances = 3\n%s[[runners.autoscaler.policy]]\nidle_count = 1\n"+
		"[runners.autoscaler.plugin_config]\n%s\n", s.plugin, filepath.Join(dir, "bin", "fleeting-plugin-"+s.plugin), s.autoscaler, s.config)
	files := map[string]string{"config.toml": text}
	for name, content := range s.files {
		files[name] = content
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(own, name), []byte(strings.ReplaceAll(content, "DIR", own)), 0o700); err != nil {
			return "", err
		}
	}
	return filepath.Join(own, "config.toml"), nil
}
