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
// # Moving
//
// A tenant is pulled: the node that is to hold it is subscribed, and then asks another,
// behind whose fence it takes what that one has ([Node.Export], [cache.Tenant.Import]);
// what that does not bring is read from the origin. A node that holds what only others
// own asks them until all are live for it ([Node.TakeOver]), and then lets go: there is no
// message whose loss matters. A node that joins does all of this before it is in the ring
// ([Node.Warm]), one that leaves after it ([Node.Drain], [Node.HandedOver]).
//
// Operators look at tenants, invalidate and drop them: [Node.Describe],
// [Node.List], [Node.Invalidate], [Node.Drop]. None of these activates a tenant.
//
// # Goroutines
//
// [Node.Run] owns them: a fixed number of loaders, and one that looks for idle
// tenants and repeats failed loads. A node of a cluster ([Node.Join]) has one that
// keeps the ring that of the members, one that tells other owners which tenants are
// read, a courier for each node that is being told, one that hands over what only others
// own, and a few that take tenants over. The methods that the bus calls
// ([subscriber.Handler]) never wait: they apply an event or move a tenant on
// and return.
package shard
