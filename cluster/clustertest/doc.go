// Package clustertest is a network in memory for whole clusters in one
// testing/synctest bubble: gossip transports whose links tests cut, stall and
// mend, and whose nodes they crash.
//
//	net := clustertest.NewNetwork() // inside the bubble
//	c, err := cluster.New(cluster.Config{Name: "a", Transport: net.NewTransport("10.0.0.1:7946"), …})
//
// # Invariants
//
//   - Nothing blocks for ever: a packet that nobody takes is dropped, a stream
//     has a bounded buffer and honours deadlines, and a dial ends with its
//     time-out. memberlist's own MockNetwork blocks, which a bubble reports as
//     a deadlock.
//   - Whatever is not cut arrives at once and in order. Time passes only as
//     the bubble's clock does.
//   - A cut link loses packets and holds streams back, as TCP does. A stalled
//     node loses nothing: what it sends and gets waits until it resumes, as if
//     its process had been stopped.
//   - A crashed node says nothing more. Its address may be used again, and
//     then its links are as they were.
//
// # Goroutines
//
// It has none. All methods are safe for concurrent use.
package clustertest
