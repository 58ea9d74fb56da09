//go:build race

package shard

// activations is over how many of them nothing is left behind. The race detector's
// runtime fails now and then after some millions of locks in one process.
const activations = 3_000
