package ring

import (
	"slices"
	"strings"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
)

// Ring says who owns which partition. Members are numbered in the order of their
// names, and owners are such numbers. It is safe for concurrent use; the slices
// that it returns are its own, to be read and not written to.
type Ring struct {
	settings Settings
	epoch    uint64
	members  []Member
	width    int      // owners of each partition
	owners   []uint32 // those of partition p from p*width
	circle   *circle  // nil without members
	zones    []uint32
	more     []atomic.Pointer[[]uint32] // what Successors has found of each partition
}

// Epoch identifies the ring by a hash of its algorithm, its replicas and its
// members' names and zones. It is never 0, not even without members.
func (r *Ring) Epoch() uint64 { return r.epoch }

// Settings returns what the ring was made with.
func (r *Ring) Settings() Settings { return r.settings }

// Algorithm is that of the settings.
func (r *Ring) Algorithm() string { return r.settings.Algorithm() }

// Members returns the members by name.
func (r *Ring) Members() []Member { return r.members }

// Index returns the number of a member.
func (r *Ring) Index(name string) (member uint32, ok bool) {
	i, ok := slices.BinarySearchFunc(r.members, name, func(m Member, name string) int {
		return strings.Compare(m.Name, name)
	})
	return uint32(i), ok
}

// Names returns the names of owners, in their order.
func (r *Ring) Names(owners []uint32) []string {
	names := make([]string, len(owners))
	for i, o := range owners {
		names[i] = r.members[o].Name
	}
	return names
}

// Partitions is the number of partitions.
func (r *Ring) Partitions() int { return r.settings.Partitions }

// Partition returns that of a tenant: xxhash64 of its name, modulo the partitions.
func (r *Ring) Partition(tenant string) int {
	return int(xxhash.Sum64String(tenant) % uint64(r.settings.Partitions))
}

// Replicas is how many owners each partition has: those of the settings, or the
// members if they are fewer.
func (r *Ring) Replicas() int { return r.width }

// Owners returns the owners of a partition, the primary first; none without
// members.
func (r *Ring) Owners(partition int) []uint32 {
	first, next := partition*r.width, (partition+1)*r.width
	return r.owners[first:next:next]
}

// Lookup returns the owners of a tenant, the primary first. It does not allocate.
func (r *Ring) Lookup(tenant string) []uint32 { return r.Owners(r.Partition(tenant)) }

// Table returns the owners of all partitions: those of p from p × Replicas.
func (r *Ring) Table() []uint32 { return r.owners }

// Successors returns the owners that a partition has with n replicas, or all
// members in the order of succession if they are fewer. Beyond Replicas each costs
// about as much as placing all partitions once, the first time it is asked for.
func (r *Ring) Successors(partition, n int) []uint32 {
	n = min(n, len(r.members))
	if n <= r.width {
		return r.Owners(partition)[:n:n]
	}
	known := r.Owners(partition)
	if more := r.more[partition].Load(); more != nil {
		known = *more
	}
	if len(known) < n {
		known = r.succeed(partition, known, n)
		r.more[partition].Store(&known)
	}
	return known[:n:n]
}

// succeed appends to the owners of a partition until there are n. Who computes the
// same at the same time finds the same.
func (r *Ring) succeed(partition int, owners []uint32, n int) []uint32 {
	s := newSuccession(r.circle, r.zones)
	owners = slices.Clone(owners)
	for len(owners) < n {
		owners = append(owners, s.next(partition, owners))
	}
	return owners
}
