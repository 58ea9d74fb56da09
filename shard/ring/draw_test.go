package ring

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/buraksezer/consistent"
	"github.com/cespare/xxhash/v2"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// usual are the settings by default.
var usual = Settings{Partitions: 4099, VirtualNodes: 100, Load: 1.25, Replicas: 2}

func drawSettings(r *rapid.T) Settings {
	return Settings{
		Partitions:   rapid.IntRange(1, 150).Draw(r, "partitions"),
		VirtualNodes: rapid.IntRange(1, 20).Draw(r, "virtual nodes"),
		Load:         rapid.OneOf(rapid.Just(1.01), rapid.Just(1.25), rapid.Float64Range(1.01, 10)).Draw(r, "load"),
		Replicas:     rapid.IntRange(1, 5).Draw(r, "replicas"),
	}
}

// drawMembers draws up to twelve members in any order, some twice. Half of the
// cases have zones, and some of them members without.
func drawMembers(r *rapid.T) []Member {
	zones := []string{""}
	if rapid.Bool().Draw(r, "zoned") {
		zones = []string{"", "a", "b", "c"}
	}
	return rapid.SliceOfN(rapid.Custom(func(r *rapid.T) Member {
		return Member{
			Name: rapid.StringMatching("[a-l]").Draw(r, "name"),
			Zone: rapid.SampledFrom(zones).Draw(r, "zone"),
		}
	}), 0, 16).Draw(r, "members")
}

func newBuilder(t rapid.TB, s Settings) *Builder {
	b, err := NewBuilder(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// scratch builds a ring with no history.
func scratch(t rapid.TB, s Settings, members []Member) *Ring {
	return newBuilder(t, s).Build(members)
}

// nodes returns n members without zones.
func nodes(n int) []Member { return zoned(n) }

// zoned returns n members that stand in the zones by turns.
func zoned(n int, zones ...string) []Member {
	members := make([]Member, n)
	for i := range members {
		members[i].Name = fmt.Sprintf("node-%d", i)
		if len(zones) > 0 {
			members[i].Zone = zones[i%len(zones)]
		}
	}
	return members
}

func without(members []Member, name string) []Member {
	return slices.DeleteFunc(slices.Clone(members), func(m Member) bool { return m.Name == name })
}

// sameRing compares all that can be seen of two rings.
func sameRing(t rapid.TB, got, want *Ring) {
	if diff := cmp.Diff(want.Members(), got.Members()); diff != "" {
		t.Fatal(diff)
	}
	if got.Epoch() != want.Epoch() || got.Replicas() != want.Replicas() || !slices.Equal(got.Table(), want.Table()) {
		t.Fatalf("another ring of the same members: %v, want %v", got.Table(), want.Table())
	}
}

// naive asks the library itself, one new instance for each question. It remembers
// the answers: who is asked of once is asked of often.
type naive struct {
	settings Settings
	members  []Member
	sum      func([]byte) uint64
	answers  map[string][]string
}

func (n *naive) owner(partition int, gone map[string]bool) string {
	key := fmt.Sprint(gone)
	if n.answers[key] == nil {
		n.answers[key] = n.ask(gone)
	}
	return n.answers[key][partition]
}

func (n *naive) ask(gone map[string]bool) []string {
	var left []consistent.Member
	for _, i := range rand.Perm(len(n.members)) {
		if !gone[n.members[i].Name] {
			left = append(left, n.members[i])
		}
	}
	c := consistent.New(left, consistent.Config{
		Hasher: hasher(n.sum), PartitionCount: n.settings.Partitions,
		ReplicationFactor: n.settings.VirtualNodes, Load: n.settings.Load,
	})
	owners := make([]string, n.settings.Partitions)
	for p := range owners {
		owners[p] = c.GetPartitionOwner(p).String()
	}
	return owners
}

// gone says who has to be gone for the next owner to show, in other words than the
// product: without zones the owners; with them also everybody of each zone that has
// more of the owners than some zone with a member to spare.
func (n *naive) gone(owners []string) map[string]bool {
	gone, count, named, spare := map[string]bool{}, map[string]int{}, map[string]bool{}, map[string]bool{}
	zone := func(m Member) string {
		if m.Zone == "" {
			return "only " + m.Name
		}
		return m.Zone
	}
	for _, m := range n.members {
		named[m.Zone] = m.Zone != ""
		if slices.Contains(owners, m.Name) {
			gone[m.Name] = true
			count[zone(m)]++
		} else {
			spare[zone(m)] = true
		}
	}
	delete(named, "")
	if len(named) < 2 {
		return gone
	}
	for _, m := range n.members {
		for other := range spare {
			if count[zone(m)] > count[other] {
				gone[m.Name] = true
			}
		}
	}
	return gone
}

func newNaive(r *Ring) *naive {
	return &naive{settings: r.Settings(), members: r.Members(), sum: xxhash.Sum64, answers: map[string][]string{}}
}

// manyTenants returns names of the usual forms.
func manyTenants(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = [...]string{fmt.Sprintf("tenant-%05d", i), fmt.Sprintf("%x", xxhash.Sum64String(fmt.Sprint(i))), fmt.Sprint(i)}[i%3]
	}
	return names
}
