package subscriber

import (
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// Whatever is pushed comes out in order, or there is a gap at its place, and
// the bounds hold.
func TestQueueOrderAndGaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := &queue{maxItems: rapid.IntRange(1, 20).Draw(t, "items"), maxBytes: 2000, wake: make(chan struct{}, 1)}
		next, lost, last := 0, map[int]bool{}, -1
		check := func(batch []item) {
			for _, i := range batch {
				if i.what == itemGap {
					if !lost[last+1] {
						t.Fatalf("a gap after %d, where nothing was lost", last)
					}
					for lost[last+1] {
						last++
					}
					continue
				}
				if n, _ := strconv.Atoi(i.channel); n != last+1 {
					t.Fatalf("%d after %d without a gap", n, last)
				}
				last++
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				i := item{channel: strconv.Itoa(next), payload: string(make([]byte, rapid.IntRange(0, 500).Draw(t, "size")))}
				lost[next] = !q.push(i)
				next++
			},
			"take": func(*rapid.T) { batch, _ := q.take(); check(batch) },
			"": func(t *rapid.T) {
				if q.items > q.maxItems || q.bytes > q.maxBytes || q.items < 0 || q.bytes < 0 {
					t.Fatalf("%d items, %d bytes", q.items, q.bytes)
				}
			},
		})
		for batch, _ := q.take(); len(batch) > 0; batch, _ = q.take() {
			check(batch)
		}
		if last != next-1 || q.items != 0 || q.bytes != 0 {
			t.Fatalf("ended at %d of %d, %d items, %d bytes", last, next-1, q.items, q.bytes)
		}
	})
}

func TestQueueBoundsControl(t *testing.T) {
	q := &queue{maxItems: 1, maxBytes: 1000, wake: make(chan struct{}, 1)}
	for i := range controlReserve {
		if !q.push(item{what: itemSubscribed}) {
			t.Fatalf("no room for reply %d", i)
		}
	}
	if q.push(item{what: itemSubscribed}) || !q.push(item{}) {
		t.Error("control items and messages share a bound, or have none")
	}
}
