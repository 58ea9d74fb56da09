package shard

import (
	"sync"
	"testing"
	"time"

	"github.com/tenantry/tenantry/cache"
)

// frozen is a receiver that takes nothing until it wakes.
type frozen struct{ woken chan struct{} }

func (f frozen) Begin([]*cache.Kind, bool) error        { return nil }
func (f frozen) Page(*cache.Kind, []cache.Handed) error { <-f.woken; return nil }

// Nodes that freeze while they are handed a tenant do not keep others from theirs; when
// they wake, they get the rest.
func TestFrozenReceiversKeepNoPlaces(t *testing.T) {
	inBubble(t, Config{}, func(r *rig) {
		r.read("t", "cost", "a")
		r.wait(time.Second)
		d, _ := r.node.Definition("cost")
		export := func(to Receiver) error {
			_, err := r.node.Export(r.Context(), "t", []Definition{d}, 1, to)
			return err
		}
		sleepers := frozen{make(chan struct{})}
		var slow sync.WaitGroup
		for range maxExports {
			slow.Go(func() {
				if err := export(sleepers); err != nil {
					t.Errorf("one that woke: %v", err)
				}
			})
		}
		r.wait(time.Second)
		began := time.Now()
		awake := frozen{make(chan struct{})}
		close(awake.woken)
		if err := export(awake); err != nil || time.Since(began) > exportPatience {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		close(sleepers.woken)
		slow.Wait()
		if n := len(r.node.exports); n > 0 {
			t.Errorf("%d places are still held", n)
		}
	})
}
