// Package world starts what a run is about: nodes and a redis-server as processes
// of their own, with a proxy in front of Redis and of the origin for each node, and
// a gate in front of what the nodes of a cluster say to each other: to the gossip
// port (datagrams and streams) and to the rpc port. Clients do not go through it.
//
// A [World] owns its processes; they die with this one. The methods of a [World] and
// of a [Node] are called by one goroutine at a time, but for [World.Nodes],
// [Node.Metrics], [Node.Ready] and [Node.Serving].
package world
