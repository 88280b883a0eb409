// Package aws is the plugin of AWS: the instances are those of one Auto Scaling group.
//
// The group launches and terminates the machines, and this package tells it how many. The Auto Scaling API gives the list, EC2 the addresses and the health, EC2
// Instance Connect (or a static key, or the password of Windows) the login. docs/plugins-aws.md has the set-up, the permissions, and what the calls cost.
package aws
