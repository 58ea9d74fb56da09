package ring

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// random returns n members with random names, the same in each run.
func random(r *rand.Rand, n int, zones ...string) []Member {
	members := zoned(n, zones...)
	for i := range members {
		members[i].Name = fmt.Sprintf("node-%08x", r.Uint32())
	}
	return members
}

// The primaries that move when one joins n are about its ideal share: on average
// over clusters with random names. One cluster's join may move more.
func TestMovesOfAJoin(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		members, clusters int
		want              float64
	}{{3, 30, 1.15}, {5, 30, 1.15}, {10, 20, 1.15}, {20, 12, 1.15}, {100, 4, 1.25}} {
		sum, most := 0.0, 0.0
		for range c.clusters {
			members, b := random(r, c.members+1), newBuilder(t, usual)
			before := b.Build(members[:c.members])
			after := b.Build(members)
			moved := float64(len(Diff(before, after).Primaries)) * float64(c.members+1) / 4099
			sum, most = sum+moved, max(most, moved)
		}
		mean := sum / float64(c.clusters)
		t.Logf("one joins %d: %.3f × the ideal share moves on average, at most %.3f", c.members, mean, most)
		if mean > c.want {
			t.Errorf("%.3f × the ideal share moves when one joins %d, want at most %v", mean, c.members, c.want)
		}
	}
}

// When a node dies, each of its partitions lands on its second owner: there is no
// exception. Others move too, but few, and most of them to one that was an owner.
func TestDeath(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct{ members, clusters int }{{2, 10}, {3, 10}, {12, 10}, {100, 1}} {
		landed, moved, cold := 0, 0, 0
		for range c.clusters {
			members, b := random(r, c.members), newBuilder(t, usual)
			before := b.Build(members)
			dead, _ := before.Index(members[0].Name)
			after := b.Build(members[1:])
			for _, p := range Diff(before, after).Primaries {
				was, is := before.Names(before.Owners(p)), after.Names(after.Owners(p))
				switch {
				case before.Owners(p)[0] == dead && is[0] != was[1]:
					t.Fatalf("partition %d landed on %s, want its second owner of %v", p, is[0], was)
				case before.Owners(p)[0] == dead:
					landed++
				case !slices.Contains(was, is[0]):
					cold++
					moved++
				default:
					moved++
				}
			}
		}
		t.Logf("one of %d dies: %d partitions land on their second owner, %.1f %% of as many move between others, %d of %d to one that was no owner",
			c.members, landed, 100*float64(moved)/float64(landed), cold, moved)
	}
}

// When a zone dies, each partition of it lands on its second owner.
func TestDeathOfAZone(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, zones := range [][]string{{"a", "b"}, {"a", "b", "c"}} {
		members, b := random(r, 12, zones...), newBuilder(t, usual)
		before := b.Build(members)
		after := b.Build(slices.DeleteFunc(slices.Clone(members), func(m Member) bool { return m.Zone == "a" }))
		one := b.Build(slices.Delete(slices.Clone(members), 0, 1))
		warm, of := 0, 0
		for p := range usual.Partitions {
			was := before.Members()[before.Owners(p)[0]]
			second := before.Names(before.Owners(p))[1]
			if was.Zone == "a" && after.Names(after.Owners(p))[0] != second {
				t.Fatalf("partition %d landed on %v, want %s", p, after.Names(after.Owners(p)), second)
			}
			if was == members[0] {
				of++
				if one.Names(one.Owners(p))[0] == second {
					warm++
				}
			}
		}
		t.Logf("%d zones: when only one of 12 members dies, %d of its %d partitions land on their second owner", len(zones), warm, of)
	}
}

// Primaries are spread as the load allows, and all owners together about as well,
// though nothing bounds them.
func TestSpread(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		n    int
		zone []string
	}{{3, nil}, {10, nil}, {100, nil}, {10, []string{"a", "b"}}, {99, []string{"a", "b", "c"}}} {
		ring := scratch(t, usual, random(r, c.n, c.zone...))
		primaries, all := make([]int, c.n), make([]int, c.n)
		for p := range usual.Partitions {
			for rank, o := range ring.Owners(p) {
				all[o]++
				if rank == 0 {
					primaries[o]++
				}
			}
		}
		mean := 4099 / float64(c.n)
		first, both := float64(slices.Max(primaries))/mean, float64(slices.Max(all))/mean/2
		t.Logf("%d members in %d zones: most/mean is %.3f of primaries, %.3f of all owners", c.n, len(c.zone), first, both)
		if first > 1.25+1/mean || both > 1.6 {
			t.Errorf("%d members: most/mean is %.3f of primaries, %.3f of all owners", c.n, first, both)
		}
	}
}

// Tenants are spread over partitions as if by chance: the sum of squares over the
// mean of n partitions is n ± √2n.
func TestSpreadOfTenants(t *testing.T) {
	ring := scratch(t, usual, nil)
	count := make([]float64, 4099)
	for _, tenant := range manyTenants(100_000) {
		count[ring.Partition(tenant)]++
	}
	mean, chi := 100_000/4099.0, 0.0
	for _, n := range count {
		chi += (n - mean) * (n - mean) / mean
	}
	t.Logf("χ² is %.0f, %v to %v tenants in a partition", chi, slices.Min(count), slices.Max(count))
	if chi < 3600 || chi > 4600 {
		t.Errorf("χ² is %.0f, want 4098 ± 5 × 91", chi)
	}
}
