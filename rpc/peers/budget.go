package peers

import "sync/atomic"

// budget bounds the reads that are asked of a second owner although the first has
// not failed: one in twenty, and a few at once. Without it, a cluster that is slow
// because it is loaded would be loaded twice.
type budget struct{ saved atomic.Int64 }

const (
	hedgeCost = 20
	maxSaved  = 20 * hedgeCost
)

// earn is called for each read.
func (b *budget) earn() {
	if b.saved.Load() < maxSaved {
		b.saved.Add(1)
	}
}

// spend reports whether a second owner may be asked.
func (b *budget) spend() bool {
	if b.saved.Add(-hedgeCost) >= 0 {
		return true
	}
	b.saved.Add(hedgeCost)
	return false
}
