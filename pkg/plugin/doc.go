// Package plugin runs a provider as a process of its own and talks to it over gRPC (hashicorp/go-plugin underneath). It is the only
// room that knows go-plugin.
//
// A plugin's main is one line around its [provider.InstanceGroup]:
//
//	func main() { plugin.Main(&mycloud.Group{}, plugin.VersionInfo{Name: "fleeting-plugin-mycloud", Version: version}) }
//
// A plugin that has sub-commands of its own looks at os.Args before it calls [Main]. The host side is [Find], which turns a
// configured name into a path, and [Launch], whose [Process] is an InstanceGroup again: one that starts the plugin anew when it
// died or hangs, and answers KindTransient meanwhile.
//
// # Life of a plugin process
//
// The host starts the plugin with /dev/null as its standard input, in a process group of its own, with a private folder (0700) for
// its socket, and with a pipe whose closing tells that the host is gone; a plugin exits within two seconds of that. SIGTERM and SIGINT
// do not end it: its host does. When a plugin ends, in whatever way, the host kills what is left of its process group: a process
// that shall outlive the plugin starts a session of its own (setsid) and takes no pipe of the plugin's with it. What a plugin writes
// to standard error, and after Init to standard output, becomes the host's log, known secrets removed.
//
// # Wire
//
// The protocol is in internal/pb/instancegroup.proto and is taskscaler's own; [protocolVersion] is its number. The gRPC status
// speaks of the transport alone: a provider's error travels as a failure in the response, so that a partial success arrives with
// it. Transport errors come out as [provider.KindTransient].
package plugin
