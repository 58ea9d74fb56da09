// Package rpc is the edge of a node: it takes calls over Connect, gRPC,
// gRPC-Web and REST on one port, finds out who asks, checks what they ask,
// reads from the node behind it, and says how fresh the answer is.
//
//	[NewHandler]  the rpc port: services, reflection, REST facade
//	[NewAdmin]    the admin port: health, readiness, metrics, profiles
//	[Server]      serves either on a listener, over HTTP/1.1 and h2c
//
// Invariants:
//
//   - Every call has a [Caller] in its context before anything is read, and
//     every access to a tenant passes through allow. A context without a Caller
//     is refused.
//   - What operators do to a tenant needs their scope, and a list has no tenant that
//     its caller may not name.
//   - Every error passes through the one table in errors.go. What the table
//     does not know goes out as a fixed text, its cause to the log.
//   - Values are passed on byte for byte; only EntitlementService looks inside,
//     at what it answers with.
//   - What is passed on to the origin is a path that cannot be taken for
//     another, a query and a tenant; nothing else of the caller's request is.
//   - Every connection, call, body, and wait for a slow caller is bounded;
//     streams are not cut for being quiet.
//   - A path segment is taken as the key that it encodes, exactly: nothing
//     cleans a path or redirects.
//
// Everything here is safe for concurrent use. Goroutines: those of net/http;
// the helpers of a BatchGet or an Authorize, which end before it returns; and
// those of [Server.Run], which end before that does.
package rpc
