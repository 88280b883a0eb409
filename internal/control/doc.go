// Package control is the local control API of a running manager: JSON over HTTP on a Unix socket that only its owner can open.
//
// A lease of this API is bound to its connection. POST /v1/leases answers with a stream of [Event] lines that lasts as long as the lease. If
// the connection is lost before the lease is released, the manager keeps the lease for reattach_after_disconnect and then revokes it. POST
// /v1/leases/release releases it.
//
//	GET  /healthz              200 while the process runs
//	GET  /readyz               200, or 503 with the reason
//	GET  /v1/manager           ManagerInfo
//	GET  /v1/status?runner=    Status
//	POST /v1/leases            LeaseRequest → a stream of Event
//	POST /v1/leases/release    ReleaseRequest
//	POST /v1/reservations      ReserveRequest
//	POST /v1/drain?runner=     DrainRequest; answers when the last lease has ended
//
// Managers and clients both use [DefaultSocket], so clients find a manager without a flag.
package control
