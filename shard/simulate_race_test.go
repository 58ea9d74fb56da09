//go:build race

package shard

// A simulated cluster is small under the race detector, which makes rings ten times
// as slow.
const simulatedNodes, simulatedTenants = 40, 10_000
