// Package sshmachine is the SSH server of a machine that is only a folder and processes on this machine: it runs commands with the local shell, each in a
// process group of its own, and forwards connections. What happens on it is reported as entries of a record. The fake plugin's instances and the machines of
// the clouds in internal/cloudtest are such servers.
//
// There are sessions with env, exec, shell, signals and exit status, direct-tcpip, direct-streamlocal and keepalives. There are no terminals and no subsystems.
//
// Every process of a machine has the machine's mark in its environment, so that all of them can be found and killed ([KillMarked]), also those that left
// their process group. On systems other than Linux this is not possible.
//
// A command has all rights of the user who runs the server. It is for tests and demonstrations only.
package sshmachine
