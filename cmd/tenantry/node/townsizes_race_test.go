//go:build race

package node

// townSizes are the sizes of towns that a test is repeated with. The race detector's
// runtime fails now and then after some millions of locks in one process.
func townSizes() []int { return []int{3, 5} }
