package cache

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// known reports whether a key is answered from memory, without a trace.
func (b *bench) known(k *Kind, key string) string {
	a, ok := b.tenant.Peek(k, key)
	if !ok {
		return "nothing"
	}
	return describe(a, nil)
}

func (b *bench) wantKnown(k *Kind, key, want string) {
	b.Helper()
	if got := b.known(k, key); got != want {
		b.Errorf("%s %s: %s is known, want %s", k.Name, key, got, want)
	}
}

// What this node has read from the origin later is no older than what the other knows to
// be current: an event that has not come yet would make that old.
func TestALaterReadBeatsAnImport(t *testing.T) {
	for name, test := range map[string]struct{ before, after Document }{
		"without versions":    {doc("1", 0), doc("2", 0)},
		"of the same version": {doc("1", 3), doc("2", 3)},
	} {
		t.Run(name, func(t *testing.T) {
			inPairBubble(t, nil, func(from, to *bench) {
				from.origin.put("cost", "a", test.before)
				to.origin.put("cost", "a", test.after)
				from.load()
				from.live(10 * time.Second)
				to.live(0)
				to.want(to.cost, "a", "2 fresh origin")
				to.tenant.Doubt()
				to.receives(from)
				to.wantKnown(to.cost, "a", "2 fresh memory")
				to.live(5 * time.Second)
				to.wantKnown(to.cost, "a", "nothing")
				if more, err := to.tenant.Revalidate(to.Context(), 1, func(context.Context) error { return nil }); more || err != nil {
					t.Errorf("%v, %v", more, err)
				}
				to.wantKnown(to.cost, "a", "2 fresh memory")
			})
		})
	}
}

// What was read after the list that the other's completeness comes from is not absent
// for its sake.
func TestALaterReadBeatsCompleteness(t *testing.T) {
	inPairBubble(t, nil, func(from, to *bench) {
		to.origin.put("cost", "old", doc("1", 1))
		to.want(to.cost, "old", "1 fresh origin")
		time.Sleep(time.Second)
		from.load()
		from.live(10 * time.Second)
		to.live(0)
		to.origin.put("cost", "new", doc("1", 1))
		to.want(to.cost, "new", "1 fresh origin")
		time.Sleep(time.Second)
		to.receives(from)
		to.wantKnown(to.cost, "new", "1 fresh memory")
		to.wantKnown(to.cost, "old", "absent fresh memory")
		to.wantKnown(to.cost, "none", "absent fresh memory")
	})
}

// What an event has made old here is not made good by a node that may have missed it.
func TestADoubtfulImportDoesNotHideThatAnEntryIsOld(t *testing.T) {
	inPairBubble(t, nil, func(from, to *bench) {
		for _, b := range []*bench{to, from} {
			b.origin.put("cost", "a", doc("1", 0))
			b.load()
			b.live(time.Second)
		}
		from.tenant.Doubt()
		to.live(0)
		to.invalidate(to.cost, "a", 0)
		time.Sleep(time.Second)
		to.receives(from)
		to.origin.fail(errDown)
		to.want(to.cost, "a", "*cache.UnavailableError")
	})
}

// A read that lands during an import, or after it, is kept if it brings something newer.
func TestFillsDuringAnImport(t *testing.T) {
	for name, test := range map[string]struct {
		begins int // the page before which the read begins; -2: before the import
		now    Document
		want   string
	}{
		"begun before it":                   {-2, doc("2", 2), "2 fresh memory"},
		"begun before the page":             {0, doc("2", 2), "2 fresh memory"},
		"begun after the page":              {1, doc("2", 2), "2 fresh memory"},
		"begun before it, without versions": {-2, doc("2", 0), "2 fresh memory"},
		"of an older version":               {0, doc("0", 0), "0 fresh memory"},
	} {
		t.Run(name, func(t *testing.T) {
			inPairBubble(t, nil, func(from, to *bench) {
				for _, key := range []string{"a", "b"} {
					from.origin.put("cost", key, doc("1", 1))
				}
				to.origin.put("cost", "a", test.now)
				to.origin.delay(50 * time.Millisecond)
				from.load()
				from.live(10 * time.Second)
				to.live(0)
				var running sync.WaitGroup
				begin := func(page int) {
					if page == test.begins {
						running.Go(func() { _, _ = to.read(to.cost, "a", ReadOptions{HasMaxAge: true}) })
						synctest.Wait()
					}
				}
				begin(-2)
				_, _, err := to.take(from, func(page int) { begin(page); time.Sleep(30 * time.Millisecond) })
				if err != nil {
					t.Fatal(err)
				}
				running.Wait()
				to.wantKnown(to.cost, "a", test.want)
				to.wantKnown(to.cost, "none", "absent fresh memory")
			})
		})
	}
}

// A lower version than was here is not taken, nor one below what an event announced
// there.
func TestImportOfAnOlderVersion(t *testing.T) {
	inPairBubble(t, nil, func(from, to *bench) {
		to.origin.put("cost", "a", doc("3", 3))
		to.origin.put("cost", "b", doc("3", 3))
		to.load()
		time.Sleep(time.Second)
		from.origin.put("cost", "a", doc("2", 2)) // of a copy of the origin that is behind
		from.load()
		from.invalidate(from.cost, "b", 7) // here it was lost
		from.live(10 * time.Second)
		to.live(0)
		to.tenant.Doubt()
		to.receives(from)
		to.wantKnown(to.cost, "a", "nothing")
		to.origin.fail(errDown)
		to.want(to.cost, "a", "3 stale memory")
		to.want(to.cost, "b", "*cache.UnavailableError")
	})
}

// A floor counts whatever else is in doubt.
func TestImportOfAFloorAlone(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.put("cost", "a", doc("3", 3))
		b.load()
		b.tenant.Doubt()
		b.live(10 * time.Second)
		b.origin.fail(errDown)
		b.want(b.cost, "a", "3 stale memory")
		_, _, err := b.tenant.Import(b.Context(), b.cache.kinds, func(keep func(*Kind, []Handed) error) (End, error) {
			return End{}, keep(b.cost, []Handed{{Key: "a", Form: HandedStub, Age: time.Hour, Floor: 7}})
		})
		if err != nil {
			t.Fatal(err)
		}
		b.want(b.cost, "a", "*cache.UnavailableError")
	})
}

// What an event announced at the exporter is a floor at the receiver, whatever is kept
// with it.
func TestHandoffOfAFloor(t *testing.T) {
	inPairBubble(t, nil, func(from, to *bench) {
		from.origin.put("user", "u", doc("2", 2))
		from.want(from.user, "u", "2 fresh origin")
		from.invalidate(from.user, "u", 5)
		to.live(0)
		to.receives(from)
		to.origin.put("user", "u", doc("4", 4))
		to.want(to.user, "u", "4 stale origin")
	})
}

// What is no longer kept well at the exporter, of a complete kind, is there all the same.
func TestHandoffOfWhatIsNotServed(t *testing.T) {
	inPairBubble(t, nil, func(from, to *bench) {
		from.cost.TTL, from.cost.MaxStale = 10*time.Minute, time.Hour
		to.cost.MaxStale = time.Hour
		from.origin.put("cost", "expired", doc("1", 1))
		from.want(from.cost, "expired", "1 fresh origin")
		from.live(9*time.Minute - time.Second)
		from.load()
		from.tenant.mu.Lock()
		s := from.tenant.store(from.cost)
		e := s.entry(from.cache.hash("expired"), "expired").with(0, 0)
		e.expires = from.cache.clock.now().add(time.Second)
		from.tenant.put(s, e)
		from.tenant.mu.Unlock()
		from.invalidate(from.cost, "announced", 7)
		from.invalidate(from.cost, "named", 0)
		from.live(5 * time.Second)
		to.live(0)
		to.receives(from)
		for _, key := range []string{"expired", "announced", "named"} {
			to.wantKnown(to.cost, key, "nothing")
		}
		to.wantKnown(to.cost, "none", "absent fresh memory")
		to.origin.put("cost", "announced", doc("6", 6)) // below the floor
		to.want(to.cost, "announced", "6 stale origin")
	})
}

// The instant by which a value had been read is never too early, however long it took.
func TestHandoffThatTakesLong(t *testing.T) {
	inPairBubble(t, nil, func(from, to *bench) {
		from.origin.put("cost", "a", doc("1", 1))
		from.load()
		from.live(0)
		to.live(0)
		_, _, err := to.take(from, func(int) { time.Sleep(2 * time.Minute); from.live(0) })
		if err != nil {
			t.Fatal(err)
		}
		to.live(0)
		a, ok := to.tenant.Peek(to.cost, "a")
		if !ok || a.Settled < to.cache.Now()-2*time.Minute {
			t.Errorf("%v %+v, now is %v", ok, a, to.cache.Now())
		}
	})
}

// The time that the exporter took to read a value counts too.
func TestHandoffOfWhatTookLong(t *testing.T) {
	inPairBubble(t, nil, func(from, to *bench) {
		from.origin.put("cost", "a", doc("1", 1))
		from.origin.delay(time.Second)
		from.load()
		from.live(0)
		to.live(0)
		to.receives(from)
		if a, ok := to.tenant.Peek(to.cost, "a"); !ok || a.Settled != a.Position+time.Second {
			t.Errorf("%v %+v", ok, a)
		}
	})
}

// Whoever waits for a turn to import gives up with its context, and gives the turns back
// that it had.
func TestImportWaitsForItsTurn(t *testing.T) {
	inPairBubble(t, nil, func(from, to *bench) {
		from.load()
		from.live(0)
		to.live(0)
		ctx, cancel := context.WithCancel(to.Context())
		var first, second error
		_, _, first = to.tenant.Import(to.Context(), []*Kind{to.user}, func(func(*Kind, []Handed) error) (End, error) {
			var running sync.WaitGroup
			running.Go(func() {
				_, _, second = to.tenant.Import(ctx, []*Kind{to.user, to.cost}, nil)
			})
			synctest.Wait()
			cancel()
			running.Wait()
			to.load() // of the kind whose turn the second had
			return End{}, nil
		})
		if first != nil || !errors.Is(second, context.Canceled) {
			t.Errorf("%v, %v", first, second)
		}
		to.tenant.Close()
		if _, _, err := to.tenant.Import(to.Context(), to.cache.kinds, nil); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
}

// A look leaves no trace: neither of a read nor for the eviction.
func TestPeekLeavesNoTrace(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.put("cost", "a", doc("1", 1))
		b.load()
		b.live(58 * time.Minute) // its TTL is about to end
		before, asked := b.tenant.Stats(), b.origin.total()
		last := b.tenant.LastRead()
		time.Sleep(2 * time.Second)
		b.live(0)
		for _, key := range []string{"a", "none"} {
			b.known(b.cost, key)
		}
		b.wantKnown(&Kind{ID: 1, Class: OnDemand}, "a", "nothing")
		synctest.Wait()
		e := b.tenant.store(b.cost).entry(b.cache.hash("a"), "a")
		if b.tenant.LastRead() != last+2*time.Second || e.marks.Load() != 0 || b.origin.total() != asked {
			t.Errorf("read %v ago, before it was %v; marks %d; %d origin reads", b.tenant.LastRead(), last, e.marks.Load(), b.origin.total()-asked)
		}
		if after := b.tenant.Stats(); after.Kinds[0] != before.Kinds[0] || after.OriginRequests != before.OriginRequests {
			t.Errorf("%+v, before %+v", after, before)
		}
	})
}
