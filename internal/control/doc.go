// Package control is the local control API of a running manager: JSON over HTTP on a Unix socket that only its owner can reach.
//
// A lease that is taken here is bound to its connection. POST /v1/leases answers with a stream of [Event] lines that lasts as long as
// the lease; when the connection is lost before the lease was given back, the manager holds the lease for reattach_after_disconnect and
// then revokes it. POST /v1/leases/release gives it back.
//
//	GET  /healthz              200 while the process serves
//	GET  /readyz               200, or 503 with the reason
//	GET  /v1/manager           Manager: who serves here
//	GET  /v1/status?runner=    Status
//	POST /v1/leases            LeaseRequest → a stream of Event
//	POST /v1/leases/release    ReleaseRequest
//	POST /v1/reservations      ReserveRequest
//	POST /v1/drain?runner=     answers when the last lease is gone
//
// [Listen] and [DefaultSocket] agree on where the socket is, so that clients find a manager without a flag.
package control
