package ring

import (
	"sync/atomic"

	"github.com/buraksezer/consistent"
	"github.com/cespare/xxhash/v2"
)

// Builder makes rings. It keeps the library's state of the last, so that the next
// costs as much as differs. It is for one goroutine at a time.
type Builder struct {
	settings Settings
	sum      func([]byte) uint64
	library  *consistent.Consistent // nil: none yet
	members  []Member               // that the library has, by name
}

// NewBuilder returns a builder of rings with the given settings. An error is that
// of [Settings.Validate].
func NewBuilder(s Settings) (*Builder, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	return &Builder{settings: s, sum: xxhash.Sum64}, nil
}

// Build returns the ring of the members, which may come in any order. Of several
// with one name that with the least zone counts.
func (b *Builder) Build(members []Member) *Ring {
	members = sorted(members)
	return b.build(members, epochOf(b.settings, members))
}

// build makes a ring of sorted members.
func (b *Builder) build(members []Member, epoch uint64) *Ring {
	r := &Ring{settings: b.settings, epoch: epoch, members: members, zones: zonesOf(members)}
	if len(members) == 0 {
		return r
	}
	c, clean := newCircle(b.settings, members, b.sum)
	r.circle, r.more = c, make([]atomic.Pointer[[]uint32], b.settings.Partitions)
	r.width = min(b.settings.Replicas, len(members))
	r.owners = make([]uint32, b.settings.Partitions*r.width)
	b.primaries(r, clean)
	s := newSuccession(c, r.zones)
	for rank := 1; rank < r.width; rank++ {
		s.extend(r.owners, r.width, rank)
	}
	return r
}

// primaries writes the first owner of each partition, which is the library's word.
// Of members whose circle is not clean it never hears.
func (b *Builder) primaries(r *Ring, clean bool) {
	if !clean {
		newSuccession(r.circle, r.zones).extend(r.owners, r.width, 0)
		return
	}
	b.follow(r.members)
	for p := range b.settings.Partitions {
		r.owners[p*r.width], _ = r.Index(b.library.GetPartitionOwner(p).String())
	}
}

// follow gives the library the members. What is gone goes first: so all that it
// ever has together is part of one clean set. A change of a quarter costs as much as
// beginning anew.
func (b *Builder) follow(members []Member) {
	gone, come := missing(b.members, members), missing(members, b.members)
	b.members = members
	if b.library == nil || 4*(len(gone)+len(come)) > len(members) {
		b.library = b.libraryOf(members)
		return
	}
	for _, m := range gone {
		b.library.Remove(m.Name)
	}
	for _, m := range come {
		b.library.Add(m)
	}
}

func (b *Builder) libraryOf(members []Member) *consistent.Consistent {
	all := make([]consistent.Member, len(members))
	for i, m := range members {
		all[i] = m
	}
	return consistent.New(all, consistent.Config{
		Hasher: hasher(b.sum), PartitionCount: b.settings.Partitions,
		ReplicationFactor: b.settings.VirtualNodes, Load: b.settings.Load,
	})
}

// hasher is the hash in the form that the library takes.
type hasher func([]byte) uint64

func (h hasher) Sum64(b []byte) uint64 { return h(b) }

// missing returns the members that are not among others. Both are sorted.
func missing(members, others []Member) []Member {
	var missing []Member
	for _, m := range members {
		for len(others) > 0 && others[0].Name < m.Name {
			others = others[1:]
		}
		if len(others) == 0 || others[0].Name != m.Name {
			missing = append(missing, m)
		}
	}
	return missing
}
