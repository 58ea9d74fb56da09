// Package origin reads the origin, the authoritative HTTP service, for the
// cache: one document by key, or all documents of a kind page by page. What is
// not for the cache it passes on as a stream ([Reader.Pass]).
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
//     body and of a list, the pages, the reads at once and those that wait, in
//     all and of each tenant, and the failures that are remembered.
//   - A tenant whose paths hang costs others nothing: it holds at most its own
//     share of the slots, tenants that wait take turns, and its failures keep
//     nobody else from the origin.
//   - An origin that does not answer is left alone: reads of it fail at once,
//     but for a probe now and then, and are let through within about a second
//     of its first answer.
//
// A read is tried again only while it has time, only after what may be over at
// once (a connection that was refused or broke; 502, 503 and 504 without a
// Retry-After), and only as far as a budget allows: a tenth of the reads, and
// ten. Nothing of a failed try has been used by then. After a 429 or 503 with a
// Retry-After the tenant's reads of that path wait for as long, at most a
// minute.
//
// A [Reader] starts no goroutines of its own; net/http keeps two for each idle
// connection until [Reader.Close]. It is safe for concurrent use.
//
// Connections speak HTTP/1.1. One connection per read in flight keeps a slow or
// large body from holding up others, a cancelled read costs its connection and
// nothing else, and for small answers a pool of them is faster than one HTTP/2
// connection. No compression is asked for, so that the bytes on the wire, which
// are bounded, are the bytes in memory.
package origin
