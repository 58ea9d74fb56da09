//go:build !race

package shard

// A simulated cluster is as large as an operator's.
const simulatedNodes, simulatedTenants = 200, 100_000
