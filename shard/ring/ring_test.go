package ring

import (
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"
)

// Each owner is the library's owner once those before it are gone: of every
// partition, as far down as there are members. With a weak hash partitions fall on
// virtual nodes.
func TestOwnersAreTheLibrarys(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s, members := drawSettings(r), drawMembers(r)
		sum := xxhash.Sum64
		if rapid.Bool().Draw(r, "weak") {
			sum = func(b []byte) uint64 { return xxhash.Sum64(b) % 2000 }
		}
		if _, clean := newCircle(s, append(sorted(members), Member{}), sum); !clean {
			sum = xxhash.Sum64
		}
		builder := newBuilder(r, s)
		builder.sum = sum
		ring := builder.Build(members)
		library := newNaive(ring)
		library.sum = sum
		for p := range ring.Partitions() {
			owners := ring.Names(ring.Successors(p, len(ring.Members())))
			for rank, got := range owners {
				gone := library.gone(owners[:rank])
				if want := library.owner(p, gone); got != want {
					r.Fatalf("partition %d: owner %d is %s, want %s, who owns it without %v", p, rank, got, want, gone)
				}
			}
		}
	})
}

// The same at the usual settings, where the library can be asked less often.
func TestUsualOwnersAreTheLibrarys(t *testing.T) {
	for _, members := range [][]Member{nodes(3), nodes(12), zoned(7, "a", "b", "c")} {
		ring := scratch(t, usual, members)
		library := newNaive(ring)
		for p := range ring.Partitions() {
			owners := ring.Names(ring.Owners(p))
			for rank, got := range owners {
				if want := library.owner(p, library.gone(owners[:rank])); got != want {
					t.Fatalf("partition %d of %d members: owner %d is %s, want %s", p, len(members), rank, got, want)
				}
			}
		}
	}
}

// A partition has min(replicas, members) owners, all different.
func TestOwnersAreDistinct(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := drawSettings(r)
		ring := scratch(r, s, drawMembers(r))
		want := min(s.Replicas, len(ring.Members()))
		for p := range s.Partitions {
			owners := slices.Sorted(slices.Values(ring.Owners(p)))
			if len(owners) != want || len(slices.Compact(owners)) != want {
				r.Fatalf("partition %d has the owners %v, want %d different ones", p, ring.Owners(p), want)
			}
			if table := ring.Table()[p*want : (p+1)*want]; !slices.Equal(table, ring.Owners(p)) {
				r.Fatalf("partition %d has %v in the table, want %v", p, table, ring.Owners(p))
			}
		}
	})
}

// Owners stand in as many zones as there are, and as evenly as their members allow.
func TestOwnersStandInDifferentZones(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		zones := []string{"a", "b", "c"}[:rapid.IntRange(2, 3).Draw(r, "zones")]
		ring := scratch(r, drawSettings(r), zoned(rapid.IntRange(len(zones), 15).Draw(r, "members"), zones...))
		for p := range ring.Partitions() {
			count := map[string]int{}
			for rank, o := range ring.Owners(p) {
				count[ring.Members()[o].Zone]++
				if most := rank/len(zones) + 1; count[ring.Members()[o].Zone] > most {
					r.Fatalf("%d of the first %d owners of partition %d stand in one of %d zones", most+1, rank+1, p, len(zones))
				}
			}
		}
	})
}

// A member without a zone is one by itself, and one zone is none: the rings of a
// cluster whose members get their zones one by one do not jump.
func TestZonesOneByOne(t *testing.T) {
	s := usual
	s.Replicas = 3
	members := nodes(6)
	none := scratch(t, s, members)
	members[0].Zone = "a"
	first := scratch(t, s, members)
	if !slices.Equal(first.Table(), none.Table()) || first.Epoch() == none.Epoch() {
		t.Error("one zone counts, or its name is not part of the epoch")
	}
	members[1].Zone = "b"
	if second := scratch(t, s, members); !slices.Equal(second.Table(), none.Table()) {
		t.Error("zones of one member each are more than members")
	}
	members[2].Zone = "a"
	third := scratch(t, s, members)
	for p := range third.Partitions() {
		owners := third.Owners(p)
		if slices.Contains(owners, 0) && slices.Contains(owners, 2) {
			t.Fatalf("partition %d has the owners %v, two of them in zone a", p, owners)
		}
	}
}

// No member is the primary of more than the load allows.
func TestLoadIsBounded(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := drawSettings(r)
		ring := scratch(r, s, drawMembers(r))
		n := len(ring.Members())
		owned := make([]int, n)
		for p := range s.Partitions {
			for _, o := range ring.Owners(p)[:min(1, n)] {
				owned[o]++
			}
		}
		for i, got := range owned {
			if most := math.Ceil(float64(s.Partitions) / float64(n) * s.Load); float64(got) > most {
				r.Fatalf("%s is the primary of %d partitions, want at most %v", ring.Members()[i].Name, got, most)
			}
		}
	})
}

// More replicas lengthen the lists and leave their beginning, whether they come by
// the settings or are asked for; and whatever was asked for before.
func TestReplicasOnlyLengthen(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s, members := drawSettings(r), drawMembers(r)
		ring := scratch(r, s, members)
		s.Replicas = 10
		long := scratch(r, s, members)
		if ring.Algorithm() != long.Algorithm() {
			r.Fatal("rings of different replicas do not mix")
		}
		for range 20 {
			p := rapid.IntRange(0, s.Partitions-1).Draw(r, "partition")
			n := rapid.IntRange(0, long.Replicas()).Draw(r, "n")
			if got, want := ring.Successors(p, n), long.Owners(p)[:n]; !slices.Equal(got, want) {
				r.Fatalf("partition %d has the successors %v, want %v", p, got, want)
			}
		}
	})
}

// Who asks for more successors at the same time as others gets the same.
func TestSuccessorsAtOnce(t *testing.T) {
	ring, want := scratch(t, usual, nodes(8)), scratch(t, usual, nodes(8)).Successors(7, 8)
	var asking sync.WaitGroup
	for n := range 9 {
		asking.Go(func() {
			for i := range 9 {
				if got := ring.Successors(7, (n+i)%9); !slices.Equal(got, want[:(n+i)%9]) {
					t.Errorf("the successors are %v, want %v", got, want[:(n+i)%9])
				}
			}
		})
	}
	asking.Wait()
}

func TestLookup(t *testing.T) {
	ring := scratch(t, usual, nodes(5))
	p := ring.Partition("acme")
	if want := int(xxhash.Sum64String("acme") % 4099); p != want {
		t.Errorf("acme is in partition %d, want %d", p, want)
	}
	owners := ring.Lookup("acme")
	if !slices.Equal(owners, ring.Owners(p)) || len(owners) != 2 {
		t.Errorf("acme has the owners %v, want %v", owners, ring.Owners(p))
	}
	for i, name := range ring.Names(owners) {
		if got, ok := ring.Index(name); !ok || got != owners[i] {
			t.Errorf("%s is member %d, want %d", name, got, owners[i])
		}
	}
	if _, ok := ring.Index("node-9"); ok {
		t.Error("has a member that it was not given")
	}
	var sink int
	if n := testing.AllocsPerRun(1000, func() { sink += len(ring.Lookup("acme")) + len(ring.Successors(p, 1)) }); n != 0 {
		t.Errorf("a lookup allocates %v times", n)
	}
}

// What is returned cannot be appended to into what follows it.
func TestOwnersHaveNoRoom(t *testing.T) {
	ring := scratch(t, usual, nodes(5))
	for _, got := range [][]uint32{ring.Owners(7), ring.Successors(7, 1), ring.Successors(7, 4), ring.Successors(7, 3)} {
		if len(got) != cap(got) {
			t.Errorf("%v has room for %d", got, cap(got))
		}
	}
}

func TestEmptyRing(t *testing.T) {
	ring := scratch(t, usual, nil)
	if ring.Epoch() == 0 || ring.Replicas() != 0 || len(ring.Table()) != 0 || len(ring.Members()) != 0 {
		t.Errorf("epoch %d, %d replicas, %d members", ring.Epoch(), ring.Replicas(), len(ring.Members()))
	}
	if len(ring.Lookup("acme")) != 0 || len(ring.Successors(4098, 3)) != 0 || ring.Partition("acme") >= 4099 {
		t.Error("a ring without members names owners")
	}
}

// Nodes of different versions have to find the same: whoever changes what is
// written here changes the scheme.
func TestGolden(t *testing.T) {
	s := Settings{Partitions: 11, VirtualNodes: 4, Load: 1.25, Replicas: 3}
	for _, golden := range []struct {
		members []Member
		epoch   uint64
		owners  string
	}{
		{[]Member{{"e", ""}, {"d", ""}, {"c", ""}, {"b", ""}, {"a", ""}}, 6401349090201370149, "dea cba dea cab dea cab bca eda ead bad eac"},
		{[]Member{{"e", "y"}, {"d", "x"}, {"c", "y"}, {"b", "x"}, {"a", ""}}, 5700695649597593920, "dea cba dea cab dea cab bca eda eda bae ead"},
	} {
		ring := scratch(t, s, golden.members)
		var owners []string
		for p := range ring.Partitions() {
			owners = append(owners, strings.Join(ring.Names(ring.Owners(p)), ""))
		}
		if got := strings.Join(owners, " "); got != golden.owners || ring.Epoch() != golden.epoch {
			t.Errorf("epoch %d, owners %q; want %d, %q", ring.Epoch(), got, golden.epoch, golden.owners)
		}
	}
}
