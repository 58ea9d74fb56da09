package ring

import (
	"math/rand/v2"
	"testing"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"
)

// A ring does not depend on what the builder built before, or on the order of the
// members.
func TestNoHistory(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := drawSettings(r)
		b := newBuilder(r, s)
		for _, members := range rapid.SliceOfN(rapid.Custom(drawMembers), 1, 10).Draw(r, "history") {
			got := b.Build(members)
			rand.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
			sameRing(r, got, scratch(r, s, members))
		}
	})
}

// The same where one joins or leaves at a time, which takes the shorter way.
func TestNoHistoryOfSingleChanges(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := drawSettings(r)
		b, members := newBuilder(r, s), nodes(6)
		b.Build(members)
		library := b.library
		for _, name := range rapid.SliceOfN(rapid.StringMatching("node-[0-9]"), 1, 20).Draw(r, "changes") {
			if left := without(members, name); len(left) < len(members) && len(left) >= 4 {
				members = left
			} else {
				members = append(without(members, name), Member{Name: name})
			}
			sameRing(r, b.Build(members), scratch(r, s, members))
		}
		if b.library != library {
			r.Error("began anew for a change of one")
		}
	})
}

// Where virtual nodes fall on one another the library would panic, or depend on
// the order; the builder does neither.
func TestVirtualNodesThatCollide(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := drawSettings(r)
		buckets := uint64(rapid.SampledFrom([]int{1, 10, 1000, 100_000}).Draw(r, "buckets"))
		weak := func(b []byte) uint64 { return xxhash.Sum64(b) % buckets }
		b := newBuilder(r, s)
		b.sum = weak
		for _, members := range rapid.SliceOfN(rapid.Custom(drawMembers), 1, 10).Draw(r, "history") {
			anew := newBuilder(r, s)
			anew.sum = weak
			sameRing(r, b.Build(members), anew.Build(members))
		}
	})
}

// Of several members with one name the same one counts, in whatever order.
func TestOneNameTwice(t *testing.T) {
	a, b := Member{"a", "x"}, Member{"a", "y"}
	ring := scratch(t, usual, []Member{b, a})
	sameRing(t, ring, scratch(t, usual, []Member{a, b, a}))
	if got := ring.Members(); len(got) != 1 || got[0] != a {
		t.Errorf("the members are %v, want %v", got, a)
	}
}

// The caller's slice is neither kept nor changed.
func TestMembersAreCopied(t *testing.T) {
	members := []Member{{Name: "b"}, {Name: "a"}}
	ring := scratch(t, usual, members)
	members[0].Name = "z"
	if got := ring.Members(); got[0].Name != "a" || got[1].Name != "b" || members[1].Name != "a" {
		t.Errorf("%v of %v", got, members)
	}
}
