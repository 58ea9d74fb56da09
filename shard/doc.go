// Package shard decides which tenants live on this node and leads each through
// its life: it activates a tenant on its first read, follows its channels on
// the bus, loads its critical kinds, applies its events, and lets go of it when
// it is idle.
//
// # A tenant's life
//
//	cold → subscribing → loading → live → draining → cold
//
// A tenant is cold while this node has no [tenant] for it. The other states
// are a field of that type, guarded by its mutex; see its documentation for
// who moves it. Doubt is not a state but a higher generation, kept in package
// cache.
//
// Operators look at tenants, invalidate and drop them: [Node.Describe],
// [Node.List], [Node.Invalidate], [Node.Drop]. None of these activates a tenant.
//
// # Goroutines
//
// [Node.Run] owns them: a fixed number of loaders, and one that looks for idle
// tenants and repeats failed loads. A node of a cluster ([Node.Join]) has one that
// keeps the ring that of the members, one that tells other owners which tenants are
// read, and a courier for each node that is being told. The methods that the bus calls
// ([subscriber.Handler]) never wait: they apply an event or move a tenant on
// and return.
package shard
