package cache

import (
	"slices"
	"sync/atomic"
	"unsafe"
)

// flags of an entry.
type flags uint16

const (
	versioned   flags = 1 << iota // version is known
	negative                      // the item does not exist
	provisional                   // set by an unversioned event, not confirmed (C4)
	invalidated                   // an event said that the value changed (known old)
	stub                          // no value: holds a floor, or the place of a key
	fromEvent                     // the value came with an event, no origin read verified it
	low                           // a document below the floor was seen once (C3)
)

// entry is what is kept of an item: immutable but for the visited mark, and 80
// bytes on 64-bit machines, so that it fits that allocation class. The key, the value and the
// ETag share one allocation.
type entry struct {
	// What finding it needs comes first: an entry lies in two cache lines.
	hash       uint32 // of the key
	keyLen     uint16
	etagLen    uint16
	buf        []byte // key, value, ETag
	flags      flags
	visited    atomic.Bool // read since the eviction hand passed
	generation generation  // under which it was verified
	verified   instant     // start of the request that verified it; arrival of the event that set it
	expires    instant
	version    uint64
	floor      uint64 // the highest version an event announced or a document had
}

// entrySize is the bytes an entry takes besides its buf.
const entrySize = int64(unsafe.Sizeof(entry{}))

// maxETag bounds the bytes of an ETag that are kept; a longer one is dropped.
const maxETag = 256

// content is what goes into an entry's buffer.
type content struct {
	key   string
	value []byte
	etag  string
}

// fill puts key, value and ETag into one allocation whose capacity is what the
// allocator really gives, so that the bytes charged are the bytes used.
func (e *entry) fill(c content) {
	if len(c.etag) > maxETag {
		c.etag = ""
	}
	buf := slices.Grow([]byte(nil), len(c.key)+len(c.value)+len(c.etag))
	buf = append(buf, c.key...)
	buf = append(buf, c.value...)
	buf = append(buf, c.etag...)
	e.buf = buf
	e.keyLen, e.etagLen = uint16(len(c.key)), uint16(len(c.etag))
}

func (e *entry) key() string { return string(e.buf[:e.keyLen]) }

func (e *entry) hasKey(key string) bool { return string(e.buf[:e.keyLen]) == key }

// value returns the canonical value, capped so that appending copies.
func (e *entry) value() []byte {
	end := len(e.buf) - int(e.etagLen)
	return e.buf[e.keyLen:end:end]
}

func (e *entry) etag() string { return string(e.buf[len(e.buf)-int(e.etagLen):]) }

func (e *entry) is(f flags) bool { return e.flags&f != 0 }

// charge is the bytes that the entry is charged with.
func (e *entry) charge() int64 { return entrySize + int64(cap(e.buf)) }

// known is the version below which nothing newer can be: the entry's own, or
// the floor that an event left.
func (e *entry) known() uint64 {
	if e == nil {
		return 0
	}
	if e.is(versioned) {
		return max(e.version, e.floor)
	}
	return e.floor
}

// with returns a copy with other flags, for changes that keep the value.
func (e *entry) with(set, unset flags) *entry {
	n := &entry{
		buf: e.buf, version: e.version, floor: e.floor, generation: e.generation, verified: e.verified,
		expires: e.expires, hash: e.hash, keyLen: e.keyLen, etagLen: e.etagLen, flags: e.flags&^unset | set,
	}
	n.visited.Store(e.visited.Load())
	return n
}

// hit marks the entry as read, writing only when that is news: a hot entry's
// cache line stays shared.
func (e *entry) hit() {
	if !e.visited.Load() {
		e.visited.Store(true)
	}
}
