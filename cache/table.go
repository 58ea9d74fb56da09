package cache

import (
	"sync/atomic"
	"unsafe"
)

// table is an open-addressing hash table of entries with linear probing,
// written under the tenant's mutex and read without a lock. A removed entry
// leaves a tombstone, so that a reader never misses a key that is there.
type table struct {
	slots []atomic.Pointer[entry]
	used  int // slots that are not nil: entries and tombstones
	live  int // entries
}

// minSlots is the size of a new table: a cache line.
const minSlots = 8

// tombstone has the empty key, which no item has.
var tombstone = &entry{} //nolint:gochecknoglobals // never written to: its address is what counts

func newTable(slots int) *table { return &table{slots: make([]atomic.Pointer[entry], slots)} }

// tableSize is the bytes that a table with the given number of slots takes.
func tableSize(slots int) int64 {
	return int64(unsafe.Sizeof(table{})) + int64(slots)*int64(unsafe.Sizeof(atomic.Pointer[entry]{}))
}

func (t *table) charge() int64 { return tableSize(len(t.slots)) }

// find returns the key's entry or nil. It may run beside a writer.
func (t *table) find(hash uint32, key string) *entry {
	slots := t.slots
	mask := uint32(len(slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		e := slots[i&mask].Load()
		if e == nil {
			return nil
		}
		if e.hash == hash && e.hasKey(key) {
			return e
		}
	}
}

// slot returns the index of the key's slot, or of the slot to put it in.
func (t *table) slot(hash uint32, key string) (at int, found bool) {
	mask := uint32(len(t.slots) - 1)
	free := -1
	for i := hash & mask; ; i = (i + 1) & mask {
		switch e := t.slots[i].Load(); {
		case e == nil && free >= 0:
			return free, false
		case e == nil:
			return int(i), false
		case e == tombstone && free < 0:
			free = int(i)
		case e.hash == hash && e.hasKey(key):
			return int(i), true
		}
	}
}

// put stores an entry in the slot that slot returned.
func (t *table) put(at int, e *entry) {
	switch old := t.slots[at].Swap(e); old {
	case nil:
		t.used++
		t.live++
	case tombstone:
		t.live++
	}
}

// remove empties a slot that holds an entry.
func (t *table) remove(at int) {
	t.slots[at].Store(tombstone)
	t.live--
}

// full says that one more entry would pass three quarters: the probe
// sequences of linear probing grow quadratically beyond.
func (t *table) full() bool { return (t.used+1)*4 > len(t.slots)*3 }

// nextSize is the number of slots the entries need: twice, or the same where
// mostly tombstones filled the table.
func (t *table) nextSize() int {
	if (t.live+1)*2 > len(t.slots) {
		return len(t.slots) * 2
	}
	return len(t.slots)
}

// rebuilt returns a table of the given size with the same entries and no
// tombstones. Readers go on in the old one, which no longer changes.
func (t *table) rebuilt(slots int) *table {
	n := newTable(slots)
	for e := range t.all {
		at, _ := n.slot(e.hash, "")
		n.put(at, e)
	}
	return n
}

// all yields the entries.
func (t *table) all(yield func(*entry) bool) {
	for i := range t.slots {
		if e := t.slots[i].Load(); e != nil && e != tombstone && !yield(e) {
			return
		}
	}
}
