package ring

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The difference is that of the owners' names, partition by partition.
func TestDiff(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := drawSettings(r)
		before, after := scratch(r, s, drawMembers(r)), scratch(r, s, drawMembers(r))
		var want Difference
		for p := range s.Partitions {
			was, is := before.Names(before.Owners(p)), after.Names(after.Owners(p))
			if !slices.Equal(was, is) {
				want.Owners = append(want.Owners, p)
			}
			if !slices.Equal(was[:min(1, len(was))], is[:min(1, len(is))]) {
				want.Primaries = append(want.Primaries, p)
			}
		}
		if diff := cmp.Diff(want, Diff(before, after)); diff != "" {
			r.Fatal(diff)
		}
	})
}

// Each member's gains and losses, applied to what it had, are what it has.
func TestChanges(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := drawSettings(r)
		before, after := scratch(r, s, drawMembers(r)), scratch(r, s, drawMembers(r))
		name := rapid.StringMatching("[a-l]").Draw(r, "name")
		had, none := Changes(nil, before, name)
		if len(none) > 0 {
			r.Fatalf("lost %v without having had any", none)
		}
		gained, lost := Changes(before, after, name)
		var has []int
		for p := range s.Partitions {
			if slices.Contains(had, p) && !slices.Contains(lost, p) || slices.Contains(gained, p) {
				has = append(has, p)
			}
			if slices.Contains(after.Names(after.Owners(p)), name) != slices.Contains(has, p) {
				r.Fatalf("partition %d: had %v, gained %v, lost %v", p, had, gained, lost)
			}
		}
	})
}

func TestDiffOfNoRing(t *testing.T) {
	ring := scratch(t, usual, nodes(3))
	for _, d := range []Difference{Diff(nil, ring), Diff(ring, nil)} {
		if len(d.Owners) != 4099 || len(d.Primaries) != 4099 {
			t.Errorf("%d partitions changed, %d primaries, want all", len(d.Owners), len(d.Primaries))
		}
	}
	if d := Diff(nil, nil); d.Owners != nil || d.Primaries != nil {
		t.Errorf("no ring differs from no ring by %v", d)
	}
	if d := Diff(ring, ring); d.Owners != nil || d.Primaries != nil {
		t.Errorf("a ring differs from itself by %v", d)
	}
	if gained, lost := Changes(ring, nil, "node-1"); len(gained) != 0 || len(lost) < 4099/3 {
		t.Errorf("gained %d, lost %d when the ring went", len(gained), len(lost))
	}
}
