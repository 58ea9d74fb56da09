package wrapper

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
)

// record is one item: JSON texts by name, which are never decoded on their way.
// A record is not changed once it is in a store.
type record struct {
	fields  map[string]json.RawMessage
	version uint64
	// gone marks a removed item. It keeps its version, so that an item made
	// anew does not begin with an old one.
	gone bool
}

// table names the records of one sort; families of the same table are views of
// the same records.
type table string

type place struct {
	tenant string
	table  table
}

// store holds the records that were changed; the others are seeded.
type store struct {
	items   int
	mu      sync.RWMutex
	changed map[place]map[string]record
	size    int
}

// maxChanged bounds the memory: a sample has no need for more changed items.
const maxChanged = 200_000

var (
	errAbsent = errors.New("no such item")
	errFull   = errors.New("too many changed items in this sample")
)

func newStore(items int) *store {
	return &store{items: items, changed: make(map[place]map[string]record)}
}

// get returns the item as it is now.
func (s *store) get(at place, key string) (record, bool) {
	s.mu.RLock()
	r, ok := s.changed[at][key]
	s.mu.RUnlock()
	if !ok {
		r, ok = seeded(at, key, s.items)
	}
	return r, ok && !r.gone
}

// keys returns the keys of all items there are now, sorted.
func (s *store) keys(at place) []string {
	seeds := seedKeys(at.table, s.items)
	s.mu.RLock()
	defer s.mu.RUnlock()
	changed := s.changed[at]
	keys := slices.DeleteFunc(seeds, func(key string) bool { _, ok := changed[key]; return ok })
	for key, r := range changed {
		if !r.gone {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// editing makes an item's new fields of a copy of its fields, which are empty
// if there is no item.
type editing func(fields map[string]json.RawMessage) (map[string]json.RawMessage, error)

// change commits an edit under the item's next version; nil removes the item.
// It returns the record before, without a version if there never was one.
func (s *store) change(at place, key string, edit editing) (old, now record, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, kept := s.changed[at][key]
	if !kept {
		old, _ = seeded(at, key, s.items)
	}
	now, err = old.next(edit)
	if err == nil && !kept && s.size == maxChanged {
		err = errFull
	}
	if err != nil {
		return old, now, err
	}
	if s.changed[at] == nil {
		s.changed[at] = make(map[string]record)
	}
	if s.changed[at][key] = now; !kept {
		s.size++
	}
	return old, now, nil
}

func (r record) next(edit editing) (record, error) {
	absent := r.gone || r.version == 0
	if edit == nil && absent {
		return record{}, errAbsent
	}
	if edit == nil {
		return record{version: r.version + 1, gone: true}, nil
	}
	fields := make(map[string]json.RawMessage)
	maps.Copy(fields, r.fields)
	fields, err := edit(fields)
	return record{version: r.version + 1, fields: fields}, err
}
