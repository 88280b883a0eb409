package plugin

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// Main is a plugin's main function: it serves impl when taskscaler started the process, prints v for `version`, `-version` and
// `--version`, and explains itself to a person who started it by hand. It does not return. A plugin with sub-commands of its own
// handles them before it calls Main.
//
// impl is a pointer to a struct whose json tags are the keys of plugin_config.
func Main(impl provider.InstanceGroup, v VersionInfo) {
	code, serve := dispatch(os.Args, os.Getenv(cookieKey), v, os.Stdout, os.Stderr)
	if serve {
		code = run(impl, v)
	}
	os.Exit(code)
}

// dispatch decides what the process is to do; args is os.Args.
func dispatch(args []string, cookie string, v VersionInfo, stdout, stderr io.Writer) (code int, serve bool) {
	name := v.Name
	if name == "" && len(args) > 0 {
		name = filepath.Base(args[0])
	}
	if len(args) < 2 {
		if cookie == cookieValue {
			return 0, true
		}
		fmt.Fprintf(stderr, "%s is a plugin of taskscaler, which starts it by itself; alone it does nothing.\n"+
			"Put it beside the taskscaler binary, into ~/.config/taskscaler/plugins or on PATH, and name it in config.toml:\n\n"+
			"    [runners.autoscaler]\n      plugin = %q\n\n`%s version` prints which build this is.\n", name, name, name)
		return 1, false
	}
	switch args[1] {
	case "version", "-version", "--version":
		fmt.Fprint(stdout, v.Full())
		return 0, false
	}
	fmt.Fprintf(stderr, "%s: unknown argument %q. This is a plugin of taskscaler, which starts it without arguments; "+
		"the only command for people is `%s version`.\n", name, args[1], name)
	return 2, false
}
