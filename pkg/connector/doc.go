// Package connector connects to an instance: it runs commands, streams their input and output, copies files, and opens tunnels. It speaks
// SSH, and WinRM to Windows.
//
// # Host key verification
//
// The host key of an instance is always verified. [provider.ConnectInfo].HostKeys are the keys that are accepted. If there are none,
// DialOptions.PinHostKey is called with the key that is seen at first contact. The caller keeps the key of the attempt that logged in with the
// instance's record and passes it in HostKeys from then on. Without known keys and without PinHostKey, Dial refuses to connect ([ErrUnpinned]), unless
// DialOptions.Insecure is set.
//
// # Jump host
//
// With DialOptions.Jump, every connection goes through one jump host, as with ProxyJump of OpenSSH. All connections of a Client share one connection to it. Its
// host key must be known; it is never pinned. A failure of the jump host is a [JumpError], which says nothing about the instance.
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
// # Sessions
//
// Commands, copies and shells run beside each other on one connection, each in a session. If the server refuses another session (MaxSessions of sshd), the
// client opens a further connection, and later sessions use it again. [RefusedError] is left for a server that refuses sessions on new connections too. All
// connections stay open until Close.
//
// # Files
//
// [Upload] and [Download] copy files and folders. A target appears when all of it is there, never before. They use SFTP, in a session of its own, tar
// on a server that has no SFTP, and Windows PowerShell over WinRM.
//
// # Keepalives
//
// A keepalive is sent every ConnectInfo.Keepalive (0: 30 s; negative: never). After three intervals without an answer the connection is
// closed, and commands that run on it return a [LostError]. tinysshd does not tolerate keepalives, so it gets none.
//
// # WinRM
//
// Over WinRM the same promises hold, with these differences ([WinRMOptions] has the settings):
//
//   - NTLM logs in without sending the password, and without TLS it encrypts every message. Basic is only used over https.
//   - The certificate of winrm+https takes the place of the host key: pinned in HostKeys, or verified with WinRMOptions.CA, or given to PinHostKey at first
//     contact, or verified with the roots of this machine.
//   - cmd.exe runs Run's Command, or PowerShell. cmd.exe takes one line of at most 8191 characters, some of which WinRM uses itself ([CommandTextError],
//     [CommandTooLongError]). RunOptions.Unwrapped means cmd.exe. RunOptions.Env always arrives. Text is UTF-8.
//   - Each command has a remote shell of its own, which is deleted at its end, and Windows ends all processes of the shell with it. So do cancellations: they
//     terminate the command and delete the shell. There is no gentle signal. A shell whose connection was lost is ended by [Examine], or by Windows after 30 min.
//   - Each request has a time limit of three keepalive intervals (also if Keepalive is negative), so a machine that vanished or is frozen is noticed.
//   - There are no tunnels ([NoTunnelError]) and no terminals ([RefusedError]). DialRun works.
//   - [Upload] and [Download] know no permissions and no symlinks: what is downloaded gets 0644, a folder 0755, and a symlink in a folder is an error. So
//     is a name that Windows does not have. CopyOptions.Remote may have backslashes. Network shares are refused.
//   - None of this was tried on Windows yet. Tests run against a server of our own, and a stand-in for PowerShell.
package connector
