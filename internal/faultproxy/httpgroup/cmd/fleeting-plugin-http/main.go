// Command fleeting-plugin-http is the plugin of package httpgroup.
package main

import (
	"github.com/taskscaler/taskscaler/internal/faultproxy/httpgroup"
	"github.com/taskscaler/taskscaler/pkg/plugin"
)

func main() { plugin.Main(&httpgroup.Group{}, plugin.VersionInfo{Name: "fleeting-plugin-http"}) }
