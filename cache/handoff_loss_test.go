package cache

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// What a lost mark might have held back is not kept.
func TestImportThatLostItsMarksKeepsNothing(t *testing.T) {
	inPairBubble(t, nil, func(from, to *bench) {
		keys := []string{"a", "b"}
		for _, key := range keys {
			from.origin.put("cost", key, doc("1", 0))
		}
		from.load()
		to.live(0)
		_, _, err := to.take(from, func(page int) {
			if page != 0 {
				return
			}
			for i := range maxMarks {
				to.invalidate(to.cost, fmt.Sprint("k", i), 0)
			}
			for _, key := range keys {
				to.invalidate(to.cost, key, 0)
			}
		})
		if !errors.Is(err, ErrOverflow) {
			t.Error(err)
		}
		for _, key := range keys {
			to.wantKnown(to.cost, key, "nothing")
		}
	})
}

func (b *bench) evictAll() {
	b.tenant.mu.Lock()
	defer b.tenant.mu.Unlock()
	for more := true; more; {
		more = b.tenant.evict(Critical)
	}
}

// What is removed at the exporter while it hands over is not absent at the receiver.
func TestExportThatLosesAnEntry(t *testing.T) {
	for name, lose := range map[string]func(from *bench){
		"evicted": (*bench).evictAll,
		"swept": func(from *bench) {
			time.Sleep(2 * time.Hour)
			from.live(0)
			from.tenant.sweep()
		},
		"and is listed anew": func(from *bench) {
			from.evictAll()
			from.load()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inPairBubble(t, nil, func(from, to *bench) {
				for _, key := range []string{"a", "b", "c"} {
					from.origin.put("cost", key, doc("1", 1))
				}
				from.load()
				from.live(10 * time.Second)
				to.live(0)
				_, _, err := to.take(from, func(page int) {
					if page == 0 {
						lose(from)
						to.live(0)
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				for _, key := range []string{"a", "b", "c", "none"} {
					if got := to.known(to.cost, key); got == "absent fresh memory" {
						t.Errorf("%s is known to be absent", key)
					}
				}
			})
		})
	}
}

// What does not fit, or is evicted here meanwhile, is not absent.
func TestImportThatLosesAnEntry(t *testing.T) {
	for name, when := range map[string]int{"before the page": 0, "after the page": 1, "at the end": -1} {
		t.Run(name, func(t *testing.T) {
			inPairBubble(t, nil, func(from, to *bench) {
				to.want(to.cost, "mine", "absent fresh origin")
				from.origin.put("cost", "a", doc("1", 1))
				from.origin.put("cost", "b", doc("1", 1))
				from.load()
				from.live(10 * time.Second)
				to.live(0)
				_, _, err := to.take(from, func(page int) {
					if page == when {
						to.evictAll()
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				for _, key := range []string{"a", "b", "none"} {
					if got := to.known(to.cost, key); got == "absent fresh memory" {
						t.Errorf("%s is known to be absent", key)
					}
				}
			})
		})
	}
}
