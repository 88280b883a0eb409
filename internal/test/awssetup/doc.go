// Package awssetup executes the set-up that docs/plugins-aws.md describes, with the aws command line, against a stand-in for AWS. Then it runs a job on the fleet.
package awssetup
