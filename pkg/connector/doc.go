// Package connector reaches an instance: it dials, runs commands, streams and tunnels. SSH is built; WinRM has its place in [Dial] and
// is refused with [UnsupportedProtocolError] until it is.
//
// # Trust
//
// A machine's host key is checked always. [provider.ConnectInfo].HostKeys are the keys that may answer; where there are none,
// DialOptions.PinHostKey is asked once, with the key seen at first contact, and whoever is asked keeps it with the instance's record.
// With neither, [Dial] refuses ([ErrUnpinned]) unless DialOptions.Insecure says that nobody cares.
//
// # Retrying
//
// A machine that boots refuses connections, accepts them and says nothing, or refuses a key that cloud-init has not installed yet. All of
// that is retried with back-off until ConnectInfo.Timeout. A wrong host key, an unreadable private key and the like are final at once.
//
// # Cancelling
//
// When the context of Run ends, the remote command is ended too, with everything in its process group. The SSH protocol offers too little
// for that: OpenSSH passes a signal on to the group, but not in a session of root, and forgets the group as soon as its first process is
// gone; other servers signal one process or none. So Run puts a line before the command that tells (on stderr, where it is taken out again) the
// process id, and a cancelled command is ended from a second session, or a second connection where the server has only one session: TERM
// to the group (to the tree of descendants where the server made no group of its own), KILL after 2 s. Where that is not possible
// (RunOptions.Unwrapped, Windows, a server that lets nobody in any more) the signals of the protocol are sent and the channel is closed.
// [CancelError] says whether the end was seen. Out of reach is a process that left its group on purpose (setsid); and, where the server
// makes no group, one whose parent has gone before.
//
// # Keepalives
//
// A keepalive is sent every ConnectInfo.Keepalive (0: 30 s; negative: none). After three intervals without an answer the connection is
// closed, and commands that run on it return a [LostError]. tinysshd cannot stand keepalives and gets none.
package connector
