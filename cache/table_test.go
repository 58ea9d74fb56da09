package cache

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

func testEntry(hash uint32, key string) *entry {
	e := &entry{hash: hash}
	e = e.fill(content{key: key, value: []byte(key)})
	return e
}

// A table behaves as a map, also where all hashes collide.
func TestTableIsAMap(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		table, model := newTable(minSlots), map[string]*entry{}
		spread := rapid.Uint32Range(1, 40).Draw(r, "spread")
		hash := func(key string) uint32 { return uint32(len(key)*7+int(key[len(key)-1])) % spread }
		keys := rapid.StringMatching(`[a-z]{1,2}`)
		r.Repeat(map[string]func(*rapid.T){
			"put": func(r *rapid.T) {
				key := keys.Draw(r, "key")
				e := testEntry(hash(key), key)
				if table.full() {
					table = table.rebuilt(table.nextSize())
				}
				at, found := table.slot(e.hash, key)
				if _, has := model[key]; has != found {
					r.Fatalf("slot(%s) found %v, want %v", key, found, has)
				}
				table.put(at, e)
				model[key] = e
			},
			"remove": func(r *rapid.T) {
				key := keys.Draw(r, "key")
				if at, found := table.slot(hash(key), key); found {
					table.remove(at)
				}
				delete(model, key)
			},
			"": func(r *rapid.T) {
				if table.live != len(model) {
					r.Fatalf("%d live, want %d", table.live, len(model))
				}
				for a := 'a'; a <= 'z'; a++ {
					key := string(a)
					if got := table.find(hash(key), key); got != model[key] {
						r.Fatalf("find(%s) is %v, want %v", key, got, model[key])
					}
				}
			},
		})
	})
}

// A reader beside a writer never misses a key that is always there, and never
// sees a mixture of two values.
func TestReadersBesideAWriter(t *testing.T) {
	b := newBench(t, nil)
	b.cost.ConfirmAfter = 0
	b.tenant.Confirmed()
	const keys = 200
	var writes atomic.Uint64
	set := func(i int) {
		v := writes.Add(1)
		b.set(fmt.Sprint("k", i%keys), fmt.Sprintf("%d-%d", v, v), v)
	}
	for i := range keys {
		set(i)
	}
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				set(i)
				b.set(fmt.Sprint("other", i%5000), "1", uint64(i)) // makes the table grow
			}
		}
	})
	s := b.tenant.store(b.cost)
	for i := range 200_000 {
		key := fmt.Sprint("k", i%keys)
		e := s.entry(b.cache.hash(key), key)
		if e == nil || string(e.value()) != fmt.Sprintf("%d-%d", e.version, e.version) {
			t.Fatalf("key %s has %v", key, e)
		}
	}
	close(stop)
	running.Wait()
	b.checkCharges()
}
