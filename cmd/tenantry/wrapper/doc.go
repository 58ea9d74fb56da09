// Package wrapper is the sample Wrapper: an origin with deterministic data for
// trying out, testing and measuring Tenantry, without a service of one's own.
//
// A [Wrapper] is an [http.Handler] with all the origin's paths. PUT and DELETE
// change an item: the change is committed first and announced on the bus
// afterwards, with a version that rises by one with each change of the item.
// A user's status and profile are two views of one item, since one event
// announces both; so they share their version.
//
// Reads see what was committed when they began, and are then held back by the
// configured latency: so the slow answer that an event overtakes, which a cache
// must not keep, is easy to have.
//
// What was never changed is computed from the tenant's name at each read; only
// changed items are kept in memory, and those are lost with the process.
//
// A Wrapper is safe for concurrent use. It owns no goroutines; [Wrapper.Run]
// announces again what the bus did not acknowledge, and so should be running.
package wrapper
