package ring

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"sort"

	"github.com/buraksezer/consistent"
)

// circle is the library's circle of virtual nodes in a form that tells who owns
// what after a removal without being changed, sorted or hashed again. It is
// immutable.
type circle struct {
	settings Settings
	members  int
	nodes    []uint32 // the member of each virtual node, by hash
	starts   []uint32 // where in nodes each partition begins to look for room
}

// point is one virtual node.
type point struct {
	hash   uint64
	member uint32
}

// newCircle places the members. It is clean if no two virtual nodes fell on one
// another: the library loses one of the two then, and panics once the other is
// removed. That happens to one of 10⁹ sets of 1,000 members, or to whoever looks
// for it; here the member with the lesser name comes first.
func newCircle(s Settings, members []Member, sum func([]byte) uint64) (c *circle, clean bool) {
	points := make([]point, 0, len(members)*s.VirtualNodes)
	for i, m := range members {
		for v := range s.VirtualNodes {
			points = append(points, point{sum(consistent.DefaultReplicaKey(m.Name, v)), uint32(i)})
		}
	}
	slices.SortFunc(points, func(a, b point) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.member, b.member))
	})
	c = &circle{settings: s, members: len(members), nodes: make([]uint32, len(points)), starts: startsOf(s, points, sum)}
	clean = true
	for i, p := range points {
		c.nodes[i] = p.member
		clean = clean && (i == 0 || points[i-1].hash != p.hash)
	}
	return c, clean
}

// startsOf finds each partition's place: the first virtual node at or after its
// hash, around the circle.
func startsOf(s Settings, points []point, sum func([]byte) uint64) []uint32 {
	starts := make([]uint32, s.Partitions)
	key := make([]byte, 8)
	for p := range starts {
		binary.LittleEndian.PutUint64(key, uint64(p))
		hash := sum(key)
		at := sort.Search(len(points), func(i int) bool { return points[i].hash >= hash })
		starts[p] = uint32(at % len(points))
	}
	return starts
}

// room returns how many partitions each member takes when those marked are gone.
// All together it is never less than the partitions: ⌈load × partitions / n⌉ × n,
// and load is not less than 1.
func (c *circle) room(gone []byte) []uint32 {
	n := c.members
	for _, g := range gone {
		n -= int(g)
	}
	most := uint32(math.Ceil(float64(c.settings.Partitions) / float64(n) * c.settings.Load))
	room := make([]uint32, c.members)
	for i, g := range gone {
		room[i] = most * uint32(1-g)
	}
	return room
}

// place writes the owner of each partition, from the first as far as owners
// reaches: the next virtual node whose member has room. Earlier partitions choose
// first, so that none can be placed alone.
func (c *circle) place(room, owners []uint32) {
	for p := range owners {
		at := c.starts[p]
		for room[c.nodes[at]] == 0 {
			if at++; int(at) == len(c.nodes) {
				at = 0
			}
		}
		room[c.nodes[at]]--
		owners[p] = c.nodes[at]
	}
}
