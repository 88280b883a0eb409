// Command fleeting-plugin-broken is a plugin with one fault, for tests: `break` in plugin_config names it. The faults that show before Init are chosen by
// the environment variable BROKEN_PLUGIN.
package main

import (
	"fmt"
	"os"

	"github.com/taskscaler/taskscaler/internal/brokengroup"
	"github.com/taskscaler/taskscaler/pkg/plugin"
)

func main() {
	switch os.Getenv("BROKEN_PLUGIN") {
	case "prints-first":
		fmt.Println("starting…")
	case "exits-first":
		fmt.Fprintln(os.Stderr, "no credentials")
		os.Exit(1)
	}
	plugin.Main(&brokengroup.Group{}, plugin.VersionInfo{Name: "fleeting-plugin-broken", Version: "1"})
}
