// Package awsfleet tests the whole way of a fleet on AWS: the manager, the process of its plugin, the API (internal/cloudtest/ec2), the machines and jobs on
// them, with the faults of a cloud.
package awsfleet
