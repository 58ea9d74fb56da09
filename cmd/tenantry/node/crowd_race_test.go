//go:build race

package node_test

// crowdBytes is what the race detector multiplies.
const crowdBytes = 256 << 10
