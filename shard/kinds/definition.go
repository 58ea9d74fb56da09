package kinds

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// definition is a hash of what decides a kind's values, however the file spells it.
// Times are no part of it, but whether the publisher vouches for its order: nodes may
// differ in them, and change them one after the other.
//
// What is hashed is the JSON of the whole of the rest, which is unambiguous, and the
// same in each process. It has the fields' names: a version that adds one exchanges
// nothing with those before it, which is safe, whereas one that is forgotten is not.
func definition(spec *kindSpec, aliases map[string][]string, use bool) uint64 {
	normal := *spec
	normal.Topics, normal.TTL, normal.NegativeTTL, normal.MaxStale = nil, 0, 0, 0
	normal.ConfirmAfter = min(spec.ConfirmAfter, 1)
	for _, t := range spec.Topics {
		t.Aliases = nil
		if use {
			t.Aliases = aliases[t.Name]
		}
		normal.Topics = append(normal.Topics, t)
	}
	slices.SortFunc(normal.Topics, func(a, b topicSpec) int { return cmp.Compare(a.Name, b.Name) })
	text, err := json.Marshal(normal)
	if err != nil {
		panic(err) // strings, booleans and numbers always marshal
	}
	return xxhash.Sum64(text)
}
