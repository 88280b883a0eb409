// Package gcetest is a server that speaks the REST protocol of Google Compute Engine, for tests of plugins. Managed instance groups, zonal and regional, run on
// pkg/cloudmodel: it decides how long a machine takes to boot, whether a create is refused, and how far lists lag behind. The server decides what Google would
// make of it: actions and statuses of instances, operations, errors of the group, repairs. With Config.Machines a machine boots for each instance, at the loopback
// address that is its internal address, and accepts the keys of its metadata.
//
// Requests are routed by the google.api.http annotations of Google's own messages. Parameters and fields that these do not have are refused. So a misspelt
// parameter, a missing permission or a disabled API is seen here as it is seen at Google, or earlier.
//
// A test turns time with Config.Now. Then things happen within requests and in Server.Advance only. Without Config.Now they happen by themselves.
//
// What people and Google do without the client's doing has methods: Server.DeleteInstance, Server.Preempt, Server.HostError and others. Faults of the API are
// ordered by Server.Fail, refused creates by Server.FailCreates and Server.StockOut. Server.State and Server.Instances tell what truly exists.
//
// What it is not: autoscalers and health checks are stored and described, because a client warns about them, but do nothing. An update policy replaces nothing. A machine keeps a key
// that is taken out of the metadata again, until the machine stops.
//
// What is not known for sure, because it was never compared with Google: the words for an instance that is no member of the group, that listManagedInstances needs
// the permission compute.instanceGroupManagers.get, and the status 412 for guest attributes that are not enabled. Whether a group that recreates an instance gives
// it another id is told differently, so GroupConfig.SameID chooses.
package gcetest
