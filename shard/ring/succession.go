package ring

// succession tells who follows the owners of a partition.
type succession struct {
	circle  *circle
	removal *removal
	owners  []uint32 // scratch: of all partitions, after a removal
}

func newSuccession(c *circle, zones []uint32) *succession {
	return &succession{circle: c, removal: newRemoval(zones), owners: make([]uint32, c.settings.Partitions)}
}

// next returns who owns the partition when its owners are gone.
func (s *succession) next(partition int, owners []uint32) uint32 {
	s.removal.remove(owners)
	s.circle.place(s.circle.room(s.removal.gone), s.owners[:partition+1])
	return s.owners[partition]
}

// removed is what one removal decides.
type removed struct {
	gone       []byte
	partitions []int // in order
}

// extend writes the owner at the given rank of each partition into a table with
// width owners of each, where those before it stand. Each removal is computed
// once, and only as far as it is asked about.
func (s *succession) extend(table []uint32, width, rank int) {
	for _, r := range s.removals(table, width, rank) {
		last := r.partitions[len(r.partitions)-1]
		s.circle.place(s.circle.room(r.gone), s.owners[:last+1])
		for _, p := range r.partitions {
			table[p*width+rank] = s.owners[p]
		}
	}
}

// removals groups the partitions by who is gone with their owners before rank.
func (s *succession) removals(table []uint32, width, rank int) []removed {
	var all []removed
	index := map[string]int{}
	for p := range s.owners {
		s.removal.remove(table[p*width : p*width+rank])
		i, known := index[string(s.removal.gone)]
		if !known {
			i = len(all)
			gone := string(s.removal.gone)
			index[gone] = i
			all = append(all, removed{gone: []byte(gone)})
		}
		all[i].partitions = append(all[i].partitions, p)
	}
	return all
}
