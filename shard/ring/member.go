package ring

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// Member is a node that owns partitions.
type Member struct {
	Name string
	// Zone is what may fail as a whole; empty: not known.
	Zone string
}

// String returns the name, by which the library tells members apart.
func (m Member) String() string { return m.Name }

// sorted returns the members by name, each once: of several with one name that
// with the least zone.
func sorted(members []Member) []Member {
	s := slices.Clone(members)
	slices.SortFunc(s, func(a, b Member) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Zone, b.Zone))
	})
	return slices.CompactFunc(s, func(a, b Member) bool { return a.Name == b.Name })
}

// epochOf hashes all that decides a ring. Replicas belong to it: two rings with
// lists of different lengths are not the same, and who has one must be sent the
// other.
func epochOf(s Settings, members []Member) uint64 {
	b := appendText(nil, s.Algorithm())
	b = binary.AppendUvarint(b, uint64(s.Replicas))
	for _, m := range members {
		b = appendText(appendText(b, m.Name), m.Zone)
	}
	return max(xxhash.Sum64(b), 1)
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}
