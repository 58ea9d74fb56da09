package cache

import (
	"math"
	"slices"
	"sync/atomic"
	"time"
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

// entry is what is kept of an item: immutable but for the marks of readers. It has
// no pointers, and is the head of a block that goes on with the key, the value
// and the ETag: one allocation, which the collector does not look into, and a
// read that finds the head has the key in the next cache line.
type entry struct {
	version    uint64
	floor      uint64     // the highest version an event announced or a document had
	generation generation // under which it was verified
	verified   instant    // start of the request that verified it; arrival of the event that set it
	expires    instant
	hash       uint32 // of the key
	size       uint32 // bytes after the head
	block      uint32 // bytes of the allocation
	keyLen     uint16
	etagLen    uint16
	lag        uint16 // from verified to when the value had been read, in ms, rounded up
	flags      flags
	marks      atomic.Uint32 // of readers
}

// entrySize is the bytes of an entry's head.
const entrySize = int(unsafe.Sizeof(entry{}))

// maxETag bounds the bytes of an ETag that are kept; a longer one is dropped.
const maxETag = 256

// content is what goes into an entry's buffer.
type content struct {
	key   string
	value []byte
	etag  string
}

// fill returns the entry with its content, in one allocation whose capacity is
// what the allocator really gives, so that the bytes charged are the bytes used.
func (e *entry) fill(c content) *entry {
	if len(c.etag) > maxETag {
		c.etag = ""
	}
	size := len(c.key) + len(c.value) + len(c.etag)
	block := slices.Grow([]uint64(nil), (entrySize+size+7)/8)
	n := (*entry)(unsafe.Pointer(unsafe.SliceData(block)))
	n.version, n.floor, n.generation, n.verified, n.expires = e.version, e.floor, e.generation, e.verified, e.expires
	n.hash, n.flags, n.lag = e.hash, e.flags, e.lag
	n.size, n.block = uint32(size), uint32(8*cap(block))
	n.keyLen, n.etagLen = uint16(len(c.key)), uint16(len(c.etag))
	n.marks.Store(e.marks.Load() & visited)
	b := n.bytes()
	copy(b[copy(b, c.key):], c.value)
	copy(b[len(c.key)+len(c.value):], c.etag)
	return n
}

// bytes returns what follows the head.
func (e *entry) bytes() []byte {
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(e), entrySize)), e.size)
}

// settled is the instant by which the value had been read or announced. Where that took
// longer than a lag can say, any instant is too early.
func (e *entry) settled() instant {
	if e.lag == math.MaxUint16 {
		return math.MaxInt64
	}
	return e.verified.add(time.Duration(e.lag) * time.Millisecond)
}

// lagOf returns the lag of what was read from start on, at most 65 s.
func lagOf(start, now instant) uint16 {
	return uint16(min((now.sub(start)+time.Millisecond-1)/time.Millisecond, math.MaxUint16))
}

func (e *entry) key() string { return string(e.bytes()[:e.keyLen]) }

func (e *entry) hasKey(key string) bool {
	return int(e.keyLen) == len(key) && unsafe.String((*byte)(unsafe.Add(unsafe.Pointer(e), entrySize)), len(key)) == key
}

// value returns the canonical value, capped so that appending copies.
func (e *entry) value() []byte {
	b := e.bytes()
	end := len(b) - int(e.etagLen)
	return b[e.keyLen:end:end]
}

func (e *entry) etag() string { return string(e.bytes()[int(e.size)-int(e.etagLen):]) }

func (e *entry) is(f flags) bool { return e.flags&f != 0 }

// charge is the bytes that the entry is charged with.
func (e *entry) charge() int64 { return int64(e.block) }

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
	n := e.fill(content{e.key(), e.value(), e.etag()})
	n.flags = n.flags&^unset | set
	return n
}

// Marks of readers.
const (
	visited   uint32 = 1 << iota // read since the eviction hand passed
	refreshed                    // times the number of reads ahead
)

// hit marks the entry as read, writing only when that is news: a hot entry's
// cache line stays shared.
func (e *entry) hit() {
	if e.marks.Load()&visited == 0 {
		e.marks.Or(visited)
	}
}

// spare takes the mark of a read back, and reports whether it was there.
func (e *entry) spare() bool { return e.marks.And(^visited)&visited != 0 }
