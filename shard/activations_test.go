//go:build !race

package shard

// activations is over how many of them nothing is left behind.
const activations = 100_000
