package cache

import (
	"sync/atomic"
	"unsafe"
)

// store holds the entries of one kind of one tenant. Its table and its
// completeness are read without a lock; the rest is guarded by the tenant's
// mutex.
type store struct {
	table    atomic.Pointer[table]
	complete atomic.Pointer[completeness]
	listed   atomic.Uint64 // the generation in which the last list was kept
	kind     *Kind

	etag     string // of a list whose content this was after so many edits
	etagAt   uint64
	edits    uint64   // of the content
	load     *load    // the list read in flight, if any
	confirm  *confirm // what is to be confirmed, if anything
	hand     int      // where eviction goes on
	adapting adapting

	// tally is more than a cache line behind what each read loads first: cores
	// that count reads of one store do not make each other wait for its table.
	tally tally
}

// completeness is the knowledge that every entry of a kind is in the store, so
// that a key that is not there does not exist.
type completeness struct {
	generation generation
	verified   instant // start of the list read that gave it
	settled    instant // its end
	expires    instant
}

// storeSize is the bytes a store takes besides its table and entries,
// completeness counted in.
const storeSize = int64(unsafe.Sizeof(store{}) + unsafe.Sizeof(completeness{}))

func newStore(k *Kind) *store {
	s := &store{kind: k}
	s.table.Store(newTable(minSlots))
	return s
}

// find returns the entry of a key and, where there is none, the completeness
// that makes it absent. Completeness is read first and must still stand after
// the search: one that came or went meanwhile proves nothing about it.
func (s *store) find(hash uint32, key string) (*entry, *completeness) {
	c := s.complete.Load()
	if e := s.table.Load().find(hash, key); e != nil {
		return e, nil
	}
	if c != s.complete.Load() {
		return nil, nil
	}
	return nil, c
}

// entry returns the entry of a key or nil.
func (s *store) entry(hash uint32, key string) *entry {
	return s.table.Load().find(hash, key)
}

// void says that a key that is not in the store may exist all the same (C10).
// It must come before the removal that is its reason.
func (s *store) void() {
	if s.complete.Load() != nil {
		s.complete.Store(nil)
	}
	if s.load != nil {
		s.load.incomplete = true
	}
}

// mustMark says that an absent key must leave a stub when an event names it:
// completeness, or the list in flight, would otherwise call it absent.
func (s *store) mustMark() bool { return s.complete.Load() != nil || s.load != nil }
