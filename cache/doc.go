// Package cache keeps the entries of tenants in memory and decides, at each
// read, how far they can be trusted.
//
// A [Cache] belongs to a node and holds what its tenants share: kinds, the
// source of documents, the memory budget, the confirmations that are due. A
// [Tenant] is one activation of a tenant: a store of entries per kind, made
// when first needed. A [Link] is what a tenant knows of the bus connection
// that carries it: a generation and a proof.
//
// # Invariants
//
//   - Freshness is computed at each read and never stored (C0). An entry says
//     when and under which generation it was verified; whether that still
//     counts is decided after its value has been read.
//   - An entry is immutable. A change puts another one in its slot, so that a
//     read takes no lock, and what it saw belongs together.
//   - An origin read is a lease (C2): an event for its entry revokes it, and
//     what it brings is then not kept.
//   - The version of an event proves that it was, not that none came after it:
//     its value is FRESH only beside a lower version that is known current.
//   - An entry's version never falls, except by the origin's repeated word (C3).
//   - What another node hands over is a lease of every key, as a list is. Nothing of it is
//     known current before all of it has come and the other had no doubt, and it prolongs
//     no TTL.
//   - Absence is answered from memory only while the store is complete, and
//     whatever removes an entry without the origin's word voids that (C10).
//   - Bytes charged to tenants and node never exceed their budgets; what does
//     not fit is answered and not kept.
//
// # Concurrency
//
// Everything exported is safe for concurrent use. Reads that memory can answer
// take no lock. All writes to a tenant hold its mutex, and nothing that waits
// is called under it. Two tenants' mutexes are held together only where the
// second was taken without waiting (eviction for the node's budget).
//
// A read is counted in its store, and the node's figures are summed when they
// are asked for: no counter is shared by the reads of all tenants.
//
// The package starts a goroutine for each origin read in flight, which ends
// with the source's time-out, and those of [Cache.Run]: none per tenant or
// entry, and no timers.
package cache
