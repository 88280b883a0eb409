// Package descriptors keeps the file descriptors of the manager private to its process (KeepPrivate), and says how many of them the manager needs
// for its own work (Reserve) and how many are left for its clients (ForClients). When clients use up the descriptors, the manager can neither
// start a plugin again nor reach an instance, so no client gets what it waits for. The control server therefore refuses more clients than that.
//
// Go raises the soft limit of a process to the hard limit when the process starts, and gives the old limit back to its child processes. So the limit
// that counts is the hard one (LimitNOFILE= of systemd, ulimit -Hn).
package descriptors

// PreparesAtOnce is how many instances a manager of one group prepares at the same time. Only while an instance is prepared does the manager hold a
// connection to it: jobs connect from the process of their caller, and heartbeats go through the plugin.
const PreparesAtOnce = 64

// The descriptors that the manager needs for its own work.
const (
	// Process is the need of the process: standard streams, the poller, the control socket, look-ups of names, the configuration and its keys.
	Process = 32
	// Plugin is the need of one plugin: its process, and the start of another one beside it (at a reload). We measured 18.
	Plugin = 32
	// State is the need of the state file, its lock and the journal, while they are copied or rotated.
	State = 12
	// Prepare is the need of one instance that is prepared: one connection, or two while two addresses of a name are tried at once.
	Prepare = 2
	// Group is the need of one group.
	Group = Plugin + State + PreparesAtOnce*Prepare
)

// fewest is the number of clients that are served although the limit is too low for the reserve: without one, nobody can ask for the status.
const fewest = 16

// Reserve returns how many descriptors the manager keeps for its own work if it manages this many groups.
func Reserve(groups int) int { return Process + max(0, groups)*Group }

// ForClients returns how many descriptors clients may use, of a limit, beside a manager of this many groups. If the limit is below the reserve and
// sixteen, it returns a quarter of the limit, at most sixteen: see Short.
func ForClients(limit, groups int) int {
	return max(limit-Reserve(groups), min(fewest, limit/4))
}

// Short reports whether the limit does not contain the reserve. Then some preparations fail when many clients are connected, and are repeated.
func Short(limit, groups int) bool { return limit < Reserve(groups)+fewest }
