//go:build !race

package node_test

// crowdBytes bounds what a node may take for each connection of a crowd.
const crowdBytes = 32 << 10
