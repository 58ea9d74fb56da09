// Package peers asks other nodes: what is read of a tenant that they own, and what
// owners tell each other.
//
//	[Peers.Get]       a read, by the owners in their order
//	[Peers.Activity]  tells another owner which tenants are read
//	[Peers.Cluster]   an operator's call, passed on as it is
//
// # How a read is asked
//
// Reads for one node share calls: what comes while a call to it is in flight waits for
// the next one, for as long as the call is not late, and an idle node is asked at once.
// Such a call is answered from memory, and is made and read by hand, since Connect's
// client and net/http's transport take longer than the node. What needs the origin is
// deferred, and asked for again in a call of its own, which may take as long as the
// origin.
//
// The next owner is asked at once if one cannot be reached, has no answer that it
// may give, or is known not to answer; and after a while, if it has not answered
// when nearly all of its answers would have come, from memory or, since an origin may
// be out of one owner's reach alone, from there: that costs a second call, and is kept
// to a twentieth of the reads. A node that let a call from memory time out is down
// until it answers what it did not.
//
// # Goroutines
//
// Each call in flight has one, and each node that is down or being waited for has
// one that pings it; all of them end with [Peers.Run]. Everything is safe for
// concurrent use.
package peers
