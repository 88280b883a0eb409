// Package connector connects to an instance: it runs commands, streams their input and output, and opens tunnels. It speaks SSH. WinRM is
// not supported yet: [Dial] refuses it with an [UnsupportedProtocolError].
//
// # Host key verification
//
// The host key of an instance is always verified. [provider.ConnectInfo].HostKeys are the keys that are accepted. If there are none,
// DialOptions.PinHostKey is called with the key that is seen at first contact. The caller keeps the key of the attempt that logged in with the
// instance's record and passes it in HostKeys from then on. Without known keys and without PinHostKey, Dial refuses to connect ([ErrUnpinned]), unless
// DialOptions.Insecure is set.
//
// # Retries
//
// An instance that boots refuses connections, accepts them and does not answer, or refuses a login because cloud-init has not installed the
// key yet. Dial retries all of this with back-off until ConnectInfo.Timeout has passed. It does not retry what waiting cannot change, such
// as a wrong host key or an unreadable private key.
//
// # Cancellation
//
// When the context of Run ends, the remote command is ended too, with every process of its process group. The signals of the SSH protocol
// are not enough for that. OpenSSH passes a signal on to the group, but not in a session of root, and not after the group's first process
// has ended. Other servers signal one process or none.
//
// So Run puts a line before the command that prints its process id to stderr, and removes the line from the output. A cancelled command
// is ended from a second session, or from a second connection if the server allows only one session: TERM to the process group, and KILL
// after 2 s. If the server made no process group, the signals go to the tree of descendants. Where this is not possible
// (RunOptions.Unwrapped, Windows, a server that accepts no further login), Run sends the signals of the protocol and closes the channel.
//
// [CancelError] says whether the end of the command was observed. Two kinds of processes are out of reach: a process that left its group
// on purpose (setsid), and, if the server made no group, a process whose parent had already ended.
//
// # Keepalives
//
// A keepalive is sent every ConnectInfo.Keepalive (0: 30 s; negative: never). After three intervals without an answer the connection is
// closed, and commands that run on it return a [LostError]. tinysshd does not tolerate keepalives, so it gets none.
package connector
