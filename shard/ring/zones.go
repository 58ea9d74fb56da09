package ring

import "math"

// zonesOf gives each member the number of its zone, less than the members. Each is
// a zone by itself unless two zones are named.
func zonesOf(members []Member) []uint32 {
	named := map[string]uint32{}
	for i, m := range members {
		if _, known := named[m.Zone]; !known && m.Zone != "" {
			named[m.Zone] = uint32(i)
		}
	}
	zones := make([]uint32, len(members))
	for i, m := range members {
		zones[i] = uint32(i)
		if number, ok := named[m.Zone]; ok && len(named) > 1 {
			zones[i] = number
		}
	}
	return zones
}

// removal finds out who must be gone for a partition's next owner to show.
type removal struct {
	zones []uint32 // of each member
	gone  []byte   // 1 for each member that is
	owned []int    // owners in each zone
}

func newRemoval(zones []uint32) *removal {
	return &removal{zones: zones, gone: make([]byte, len(zones)), owned: make([]int, len(zones))}
}

// remove takes away the owners, and whoever stands in a zone that has more of them
// than another zone where there is still a choice. Somebody remains as long as
// there are more members than owners.
func (r *removal) remove(owners []uint32) {
	clear(r.gone)
	clear(r.owned)
	for _, o := range owners {
		r.gone[o] = 1
		r.owned[r.zones[o]]++
	}
	least := r.least()
	for i, zone := range r.zones {
		if r.owned[zone] > least {
			r.gone[i] = 1
		}
	}
}

// least returns how many owners stand in the zone that has the fewest of those
// with a member that is not gone.
func (r *removal) least() int {
	least := math.MaxInt
	for i, zone := range r.zones {
		if r.gone[i] == 0 {
			least = min(least, r.owned[zone])
		}
	}
	return least
}
