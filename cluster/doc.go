// Package cluster is memberlist, wrapped: who is alive and ready. It knows
// nothing of tenants, rings or RPC; what it carries of a ring is an id to
// compare and a number to show.
//
//	c, err := cluster.New(cluster.Config{Name: "a", Address: "10.0.0.1:7070", Join: seeds})
//	go c.Run(ctx)
//	for range c.Changes() {
//		rebuild(c.Members())
//	}
//
// # Invariants
//
//   - Members is a level: readers recompute from it after a poke, and miss
//     nothing but what was undone meanwhile.
//   - Each start of a node has an ID of its own, in its metadata and in its
//     answers to probes. A name with another ID is another life: what answers
//     probes in place of a member, but was refused, is not taken for it.
//   - A peer whose metadata cannot be read or breaks a bound, or whose
//     Algorithm is another, is never among the members. Nothing it says of
//     others is taken over when it joins. Peers of another label or key cannot
//     be understood at all. Each is logged once in ten minutes, and counted.
//   - Metadata of an unknown format is refused, unknown fields of the known one
//     are skipped: so a later version adds fields, and never changes them.
//   - Of two live nodes with one name the members keep the one they had. The
//     later one finds out ([Cluster.NameTaken]), goes on asking, and has the
//     name once the other is gone; until then it ends without saying that it
//     leaves, which the others would take for the other. After a restart the
//     other is the former life: at the same address the new one has the name
//     at once, at another one when the old one has been given up, if it did not
//     leave. The cluster's memory of who was first is the only one: two nodes
//     of one name that grew old apart both believe that the name is theirs.
//   - A partition heals within RejoinInterval: for a day after its death a
//     member's address is tried, as are seeds that are not members.
//   - Left is a death that was announced by the state Leaving. memberlist tells
//     its users neither that nor who is suspected; the latter is read from its
//     log, and is about this node's own probes.
//
// # Goroutines
//
// [Cluster.Run] owns all of them: memberlist's, one that lets streams in, one
// that joins (and one for each attempt under way), one that logs, one that
// waits for Formed; its own sends changed metadata. It returns when they have
// ended. memberlist may still call into the cluster from a timer of a
// suspicion; that changes what Members returns, and starts nothing.
//
// memberlist calls the delegates with its lock held. They change the roster or
// poke, and never call memberlist, log or wait.
//
// All methods are safe for concurrent use.
package cluster
