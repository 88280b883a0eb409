// Package machine runs the machines of the clouds in internal/cloudtest. A machine is a real SSH server in this process, on a loopback address of its own and
// the one port of its park, with a host key of its own. It runs commands as processes of this user, in process groups and a home folder of their own. So the
// whole way to a job can be exercised: what a cloud's API says of a machine is true.
//
// A machine accepts keys that are there from its start, and keys that are pushed to it and end ([Machine.Authorize]). The record of a machine (package
// plugins/fake/record) says what ran on it and when, independently of the manager and of the cloud's API.
//
// Linux answers on all of 127.0.0.0/8. Elsewhere only 127.0.0.1 can be used, unless other addresses are set up.
package machine
