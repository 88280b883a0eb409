// Package ec2 is a server that speaks the protocols of AWS, for tests and demonstrations: Auto Scaling and EC2 (query requests, XML answers), EC2
// Instance Connect (JSON), and of IAM and STS what a set-up needs. All of them have one URL: the signature of a request names its service.
//
// Behind each Auto Scaling group stands a pkg/cloudmodel. The model decides when an instance boots, fails, is reclaimed or is gone, whether a launch
// is refused, and how far lists lag behind. The server decides what AWS would make of it: lifecycle states, scaling activities, replacements, spot
// requests. With Config.Machines a machine boots for each instance, at the loopback address that is its private address.
//
// Requests must carry a right signature (version 4), and parameters that the action does not know are refused. So a wrong region, an expired token,
// a missing permission or a misspelt parameter is seen here as it is seen at AWS, or earlier.
//
// A test turns time with Config.Now. Then things happen within requests and in Server.Advance only. Without Config.Now they happen by themselves.
//
// What people and AWS do without the client's doing has methods: Server.TerminateInstance, Server.Interrupt, Server.SetHealth and others. Faults of
// the API are ordered by Server.Fail, refused launches by Server.FailLaunches. Server.State and Server.Instances tell what truly exists.
//
// What it is not: there are no lifecycle hooks that wait, no instance refresh that replaces anything, and no scaling policy that acts. They are
// stored and described, because a client warns about them.
package ec2
