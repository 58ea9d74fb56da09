package ring

import "slices"

// Difference is what two rings disagree on: partitions in their order.
type Difference struct {
	// Primaries are the partitions whose first owner is another.
	Primaries []int
	// Owners are those whose owners or their order are others, Primaries included.
	Owners []int
}

// Diff returns what is different after a change of rings. A ring that is nil has no
// members; two of different numbers of partitions cannot be compared.
func Diff(before, after *Ring) Difference {
	before, after = orEmpty(before), orEmpty(after)
	var d Difference
	number := renumbered(before, after)
	for p := range partitionsOf(before, after) {
		was, is := before.Owners(p), after.Owners(p)
		same := func(a, b uint32) bool { return number[a] == int(b) }
		if !slices.EqualFunc(was[:min(1, len(was))], is[:min(1, len(is))], same) {
			d.Primaries = append(d.Primaries, p)
		}
		if !slices.EqualFunc(was, is, same) {
			d.Owners = append(d.Owners, p)
		}
	}
	return d
}

// renumbered returns the number that each member before has after; -1 for none.
func renumbered(before, after *Ring) []int {
	numbers := make([]int, len(before.members))
	for i, m := range before.members {
		numbers[i] = -1
		if n, ok := after.Index(m.Name); ok {
			numbers[i] = int(n)
		}
	}
	return numbers
}

// Changes returns the partitions of which a member became an owner, of whatever
// rank, and those of which it ceased to be one. A ring that is nil has no members,
// so that the partitions of a member are those gained since there was no ring.
func Changes(before, after *Ring, name string) (gained, lost []int) {
	before, after = orEmpty(before), orEmpty(after)
	was, is := owns(before, name), owns(after, name)
	for p := range partitionsOf(before, after) {
		switch had, has := was(p), is(p); {
		case has && !had:
			gained = append(gained, p)
		case had && !has:
			lost = append(lost, p)
		}
	}
	return gained, lost
}

// owns tells whether the named member is an owner of a partition.
func owns(r *Ring, name string) func(partition int) bool {
	member, ok := r.Index(name)
	return func(p int) bool { return ok && slices.Contains(r.Owners(p), member) }
}

func orEmpty(r *Ring) *Ring {
	if r == nil {
		return new(Ring)
	}
	return r
}

func partitionsOf(before, after *Ring) int {
	return max(before.settings.Partitions, after.settings.Partitions)
}
