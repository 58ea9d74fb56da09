// Package client reads from a Tenantry cluster, through any of its nodes.
//
// A [Client] keeps a pool of connections and is safe for concurrent use. It
// adds no retries of its own: an [*UnavailableError] says when to try again.
package client
