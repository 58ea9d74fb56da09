// Package world starts what a run is about: a node and a redis-server as
// processes of their own, with a proxy in front of Redis and of the origin.
//
// A [World] owns its processes; they die with this one. Its methods are called by
// one goroutine at a time, but for [World.Metrics].
package world
