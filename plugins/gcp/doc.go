// Package gcp is for the plugin of Google Cloud: fleets of virtual machines in a managed instance group. So far there is only what it will be tested against,
// package gcetest.
package gcp
