// Package origin reads the origin, the authoritative HTTP service, for the
// cache: one document by key, or all documents of a kind page by page.
//
// Its invariants:
//
//   - A tenant and a key reach the origin as one percent-encoded path segment
//     each, byte for byte. What cannot be sent so is refused before any I/O
//     ([ErrName]).
//   - Only the configured origin is ever asked: no other scheme, host or port,
//     neither by a redirect nor by a Link, and through no proxy. A redirect is
//     followed only to a path that still names the same tenant and key.
//   - An absence is only what the origin itself says in JSON; a proxy's error
//     page is a fault. An answer that is torn, too large, too deep, not UTF-8,
//     not JSON, or about another key is a fault, too.
//   - Everything is bounded: the time of a read and of a list, the bytes of a
//     body and of a list, the pages, the reads at once and those that wait.
//
// A [Reader] starts no goroutines of its own; net/http keeps two for each idle
// connection until [Reader.Close]. It is safe for concurrent use. It does not
// retry: the caller knows whether anybody still waits.
//
// Connections speak HTTP/1.1. One connection per read in flight keeps a slow or
// large body from holding up others, a cancelled read costs its connection and
// nothing else, and for small answers a pool of them is faster than one HTTP/2
// connection. No compression is asked for, so that the bytes on the wire, which
// are bounded, are the bytes in memory.
package origin
