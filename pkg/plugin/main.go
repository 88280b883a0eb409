package plugin

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// Main is the main function of a plugin. If taskscaler has started the process, Main serves impl. With the argument `version`, `-version` or
// `--version` it prints v. If a person has started the process, it prints what the plugin is for and how to install it. Main does not
// return. A plugin with sub-commands of its own handles them before it calls Main.
//
// impl is a pointer to a struct. The json tags of its fields are the keys of plugin_config.
func Main(impl provider.InstanceGroup, v VersionInfo) {
	code, serve := dispatch(os.Args, os.Getenv(cookieKey), v, provider.CapabilitiesOf(impl), os.Stdout, os.Stderr)
	if serve {
		code = run(impl, v)
	}
	os.Exit(code)
}

// dispatch decides what the process does. args is os.Args.
func dispatch(args []string, cookie string, v VersionInfo, can []provider.Capability, stdout, stderr io.Writer) (code int, serve bool) {
	name := v.Name
	if name == "" && len(args) > 0 {
		name = filepath.Base(args[0])
	}
	if len(args) < 2 {
		if cookie == cookieValue {
			return 0, true
		}
		fmt.Fprintf(stderr, "%s is a plugin of taskscaler. Only taskscaler can use it.\n"+
			"Put it beside the taskscaler binary, into ~/.config/taskscaler/plugins or on PATH, and name it in config.toml:\n\n"+
			"    [runners.autoscaler]\n      plugin = %q\n\n`%s version` prints its version.\n", name, name, name)
		return 1, false
	}
	switch args[1] {
	case "version", "-version", "--version":
		fmt.Fprint(stdout, v.Full())
		if len(can) > 0 {
			texts := make([]string, len(can))
			for i, c := range can {
				texts[i] = string(c)
			}
			fmt.Fprintf(stdout, "%-15s%s\n", "Capabilities:", strings.Join(texts, ", "))
		}
		return 0, false
	}
	fmt.Fprintf(stderr, "%s: unknown argument %q. This is a plugin of taskscaler, which starts it without arguments. "+
		"The only command is `%s version`.\n", name, args[1], name)
	return 2, false
}
