//go:build !race

package node

// townSizes are the sizes of towns that a test is repeated with.
func townSizes() []int { return []int{3, 5, 9} }
