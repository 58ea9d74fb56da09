// Package node puts a node together from its configuration: origin reader,
// cache, shard, bus and edge, in that order, and runs them until told to stop.
//
// [Node.Run] holds the order of the shutdown: the node says that it is not
// ready, stops accepting requests and finishes those in work, then lets go of
// its tenants, then closes the bus.
package node
