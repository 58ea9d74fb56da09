package ring

import (
	"fmt"
	"strconv"
)

// Settings decide, together with the members, what a ring is.
type Settings struct {
	// Partitions is into how many parts the tenants are split, 1 to 65,536. A
	// prime; 4,099 serves 10 to 1,000 members.
	Partitions int
	// VirtualNodes is how many places a member has on the circle, 1 to 1,000. Of
	// 100 about the ideal share of primaries moves when one joins ten; of 20 a tenth
	// more.
	VirtualNodes int
	// Load is the most that a member may own, in mean shares, 1.01 to 10. The
	// closer to 1, the more partitions move: with 1.01 a fifth more than with 1.25.
	Load float64
	// Replicas is how many owners a partition has if there are as many members, 1
	// to 10. From the third on, each costs a ring up to partitions² / 2 steps: 50 ms
	// with 4,099 partitions, 1.5 s with 65,536.
	Replicas int
}

// Validate says which setting is out of its range.
func (s Settings) Validate() error {
	switch {
	case s.Partitions < 1 || s.Partitions > 1<<16:
		return fmt.Errorf("%d partitions; 1 to %d are possible", s.Partitions, 1<<16)
	case s.VirtualNodes < 1 || s.VirtualNodes > 1000:
		return fmt.Errorf("%d virtual nodes; 1 to 1000 are possible", s.VirtualNodes)
	case !(s.Load >= 1.01 && s.Load <= 10): // also refuses what is not a number
		return fmt.Errorf("a load of %v; 1.01 to 10 are possible", s.Load)
	case s.Replicas < 1 || s.Replicas > 10:
		return fmt.Errorf("%d replicas; 1 to 10 are possible", s.Replicas)
	}
	return nil
}

// scheme names all that decides a ring beside settings and members: the library's
// version, the order of succession (+1), the hash. Whoever changes a result of this
// package changes it, so that old and new nodes never mix.
const scheme = "consistent-1.1+1/xxhash64"

// Algorithm identifies what decides a ring, in at most 64 bytes. Nodes that differ
// in it never form a ring together. Replicas are not in it, since they change by
// restarting one node after the other: nodes with different replicas agree on
// primaries, and on all owners that both have.
func (s Settings) Algorithm() string {
	return scheme + "/" + strconv.Itoa(s.Partitions) + "/" + strconv.Itoa(s.VirtualNodes) +
		"/" + strconv.FormatFloat(s.Load, 'g', -1, 64)
}
