// Package plugin runs a provider as a process of its own, and talks to it over gRPC (with hashicorp/go-plugin).
//
// The main function of a plugin has one line, with a [provider.InstanceGroup]:
//
//	func main() { plugin.Main(&mycloud.Group{}, plugin.VersionInfo{Name: "fleeting-plugin-mycloud", Version: version}) }
//
// A plugin with sub-commands of its own handles them before it calls [Main].
//
// On the host side, [Find] turns the name in the configuration into a path, and [Launch] starts the plugin. The resulting [Process] is an
// InstanceGroup again. If the plugin dies or hangs, the Process starts it again; until then calls return an error of KindTransient.
//
// # Life of a plugin process
//
// The host starts the plugin in a process group of its own. Its standard input is /dev/null. It gets a private folder (mode 0700) for its
// socket, and a pipe that closes when the host ends; the plugin exits within two seconds of that. SIGTERM, SIGINT, SIGQUIT and SIGHUP do
// not end the plugin: the host does.
//
// When a plugin has ended for any reason, the host kills the rest of its process group. A process that must outlive the plugin has to
// start its own session (setsid) and must not keep a pipe of the plugin open.
//
// What the plugin writes to standard error, and after Init also to standard output, goes to the host's log, without known secrets.
//
// # Wire protocol
//
// The protocol is defined in internal/pb/instancegroup.proto. It is taskscaler's own and has a version number, which is 1. A gRPC status
// describes only the transport. An error of the provider is a part of the response, because a partial success must arrive together with
// its error. Errors of the transport have the kind [provider.KindTransient].
package plugin
