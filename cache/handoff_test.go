package cache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// inPairBubble runs a test on two caches of one tenant, which have the same origin: what
// to asks of it can be counted.
func inPairBubble(t *testing.T, configure func(*Config), test func(from, to *bench)) {
	t.Helper()
	inBubble(t, nil, func(from *bench) {
		to := newBench(from.T, configure)
		ctx, cancel := context.WithCancel(from.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = to.cache.Run(ctx) }()
		to.link.Prove(time.Now())
		to.tenant.Confirmed()
		test(from, to)
		cancel()
		<-ended
		to.checkCharges()
	})
}

// meanwhile is called before each page, and at the end of the export.
type meanwhile func(page int)

// take hands over what from has to b, in pages of one entry.
func (b *bench) take(from *bench, disturb meanwhile) ([]*Kind, time.Duration, error) {
	pages := 0
	return b.tenant.Import(b.Context(), b.cache.kinds, func(keep func(*Kind, []Handed) error) (End, error) {
		generation := from.tenant.Generation()
		end, err := from.tenant.Export(from.cache.kinds, generation, 1, func(k *Kind, some []Handed) error {
			if len(some) != 1 {
				b.Errorf("a page of %d", len(some))
			}
			if disturb != nil {
				disturb(pages)
			}
			pages++
			return keep(b.cache.kinds[k.ID], some)
		})
		if disturb != nil {
			disturb(-1)
		}
		for i := range end.Whole {
			end.Whole[i].Kind = b.cache.kinds[end.Whole[i].Kind.ID]
		}
		for i, k := range end.Kinds {
			end.Kinds[i] = b.cache.kinds[k.ID]
		}
		return end, err
	})
}

func (b *bench) receives(from *bench) {
	b.Helper()
	if _, _, err := b.take(from, nil); err != nil {
		b.Fatal(err)
	}
}

// What is known current where it comes from is known current where it goes, with its
// age; absence too; and the origin is not asked.
func TestHandoff(t *testing.T) {
	inPairBubble(t, nil, func(from, to *bench) {
		from.origin.put("cost", "a", doc("1", 1))
		from.origin.put("cost", "b", doc("2", 0))
		from.origin.put("user", "u", doc("{}", 0))
		from.load()
		from.want(from.user, "u", "{} fresh origin")
		from.want(from.user, "none", "absent fresh origin")
		time.Sleep(time.Second)
		from.set("e", "5", 5) // from an event, confirmed by nobody
		from.live(9 * time.Second)
		to.live(0)
		taken, oldest, err := to.take(from, nil)
		if len(taken) != 2 || oldest != 10*time.Second || err != nil {
			t.Errorf("%v, %v, %v", taken, oldest, err)
		}
		to.live(5 * time.Second)
		for key, want := range map[string]string{"a": "1 fresh memory", "b": "2 fresh memory", "none": "absent fresh memory"} {
			to.want(to.cost, key, want)
		}
		to.want(to.user, "u", "{} fresh memory")
		to.want(to.user, "none", "absent fresh memory")
		a, _ := to.read(to.cost, "a", ReadOptions{})
		if a.Age != 15*time.Second || a.Version != 1 || !a.Versioned {
			t.Errorf("%+v", a)
		}
		to.wantWith(to.cost, "a", ReadOptions{HasMaxAge: true, MaxAge: 14 * time.Second}, "absent fresh origin")
		if n := to.origin.count("user", "u") + to.origin.count("cost", ""); n > 0 {
			t.Errorf("the origin was asked %d times", n)
		}
	})
}

// Events that come during an import win over what it brings, unless that is newer than
// they are.
func TestEventsBeatAnImport(t *testing.T) {
	for name, test := range map[string]struct {
		event func(to *bench)
		want  string
	}{
		"a higher version":        {func(to *bench) { to.set("a", "3", 3) }, "3 provisional event"},
		"a lower version":         {func(to *bench) { to.set("a", "1", 1) }, "2 fresh memory"},
		"no version":              {func(to *bench) { to.set("a", "9", 0) }, "9 provisional event"},
		"makes it old":            {func(to *bench) { to.invalidate(to.cost, "a", 0) }, "*cache.UnavailableError"},
		"makes a version old":     {func(to *bench) { to.invalidate(to.cost, "a", 3) }, "*cache.UnavailableError"},
		"makes an old one old":    {func(to *bench) { to.invalidate(to.cost, "a", 1) }, "2 fresh memory"},
		"a key that is not there": {func(to *bench) { to.set("z", "9", 9) }, "2 fresh memory"},
	} {
		for _, when := range []string{"before it", "after it", "at the end"} {
			t.Run(name+" "+when, func(t *testing.T) {
				inPairBubble(t, nil, func(from, to *bench) {
					from.origin.put("cost", "a", doc("2", 2))
					from.origin.put("cost", "b", doc("7", 7))
					from.load()
					from.live(5 * time.Second)
					to.live(0)
					to.origin.fail(errDown)
					_, _, err := to.take(from, func(page int) {
						if page == map[string]int{"before it": 0, "after it": 1, "at the end": -1}[when] {
							time.Sleep(time.Millisecond)
							test.event(to)
						}
					})
					if err != nil {
						t.Fatal(err)
					}
					got := describe(to.read(to.cost, "a", ReadOptions{}))
					if got != test.want {
						t.Errorf("got %q, want %q", got, test.want)
					}
				})
			})
		}
	}
}

// What broke off, ended in doubt, or came while the receiver doubted is not known
// current; a second import is.
func TestNothingIsHalfBelieved(t *testing.T) {
	broken := errors.New("broken off")
	for name, test := range map[string]struct {
		disturb func(from, to *bench) meanwhile
		err     error
	}{
		"the exporter doubts": {func(from, _ *bench) meanwhile {
			return func(page int) { from.link.Doubt(); from.link.Prove(time.Now()) }
		}, nil},
		"its tenant does":     {func(from, _ *bench) meanwhile { return func(page int) { from.tenant.Doubt() } }, nil},
		"the receiver doubts": {func(_, to *bench) meanwhile { return func(page int) { to.tenant.Doubt() } }, nil},
		"it is closed":        {func(from, _ *bench) meanwhile { return func(page int) { from.tenant.Close() } }, ErrClosed},
		"broken off": {func(from, _ *bench) meanwhile {
			return func(page int) {
				if page == 1 {
					panic(broken)
				}
			}
		}, broken},
	} {
		t.Run(name, func(t *testing.T) {
			inPairBubble(t, nil, func(from, to *bench) {
				from.origin.put("cost", "a", doc("2", 2))
				from.origin.put("cost", "b", doc("7", 7))
				from.load()
				from.live(5 * time.Second)
				to.live(0)
				_, _, err := to.interrupted(from, test.disturb(from, to), broken)
				if !errors.Is(err, test.err) {
					t.Error(err)
				}
				to.origin.fail(errDown)
				to.live(0)
				for _, key := range []string{"a", "b", "none"} {
					if got := describe(to.read(to.cost, key, ReadOptions{})); strings.Contains(got, "fresh") {
						t.Errorf("%s: %s", key, got)
					}
				}
				if errors.Is(test.err, ErrClosed) {
					return
				}
				from.load()
				to.receives(from)
				to.want(to.cost, "a", "2 fresh memory")
				to.want(to.cost, "none", "absent fresh memory")
			})
		})
	}
}

// interrupted is take, where a panic of disturb is an error of the export.
func (b *bench) interrupted(from *bench, disturb meanwhile, broken error) (taken []*Kind, oldest time.Duration, err error) {
	return b.tenant.Import(b.Context(), b.cache.kinds, func(keep func(*Kind, []Handed) error) (end End, err error) {
		defer func() {
			if recover() != nil {
				end, err = End{}, broken
			}
		}()
		page := 0
		return from.tenant.Export(from.cache.kinds, from.tenant.Generation(), 1, func(k *Kind, some []Handed) error {
			disturb(page)
			page++
			return keep(b.cache.kinds[k.ID], some)
		})
	})
}

// More events than marks restart an import.
func TestImportThatOverflows(t *testing.T) {
	inPairBubble(t, nil, func(from, to *bench) {
		from.origin.put("cost", "a", doc("2", 2))
		from.load()
		_, _, err := to.take(from, func(page int) {
			for i := range maxMarks + 1 {
				to.set(fmt.Sprint("k", i), "1", 1)
			}
		})
		if !errors.Is(err, ErrOverflow) {
			t.Error(err)
		}
		to.receives(from)
		to.want(to.cost, "a", "2 fresh memory")
	})
}

// Handing over prolongs no TTL, however often it is done.
func TestHandoffsProlongNothing(t *testing.T) {
	inPairBubble(t, nil, func(a, b *bench) {
		a.origin.put("cost", "a", doc("2", 2))
		b.origin.put("cost", "a", doc("3", 3))
		a.load()
		began := time.Now()
		for i := 0; time.Since(began) < a.cost.TTL*11/10; i++ {
			from, to := a, b
			if i%2 == 1 {
				from, to = b, a
			}
			to.tenant.Doubt()
			from.live(time.Minute)
			to.live(0)
			to.receives(from)
		}
		b.live(0)
		for _, one := range []*bench{a, b} {
			if _, ok := one.tenant.Recall(one.cost, "a", ReadOptions{}); ok {
				t.Errorf("after %v it is still there", time.Since(began))
			}
			if _, ok := one.tenant.Recall(one.cost, "none", ReadOptions{}); ok {
				t.Error("so is absence")
			}
		}
	})
}

// What is in doubt, or known old, where it comes from is so where it goes: critical
// values are not served, reference ones as stale.
func TestHandoffOfWhatIsOld(t *testing.T) {
	inPairBubble(t, nil, func(from, to *bench) {
		from.origin.put("cost", "a", doc("2", 2))
		from.origin.put("cost", "b", doc("3", 3))
		from.origin.put("user", "u", doc("{}", 1))
		from.load()
		from.want(from.user, "u", "{} fresh origin")
		from.live(5 * time.Second)
		from.invalidate(from.cost, "a", 5)
		from.invalidate(from.user, "u", 0)
		to.live(0)
		to.receives(from)
		to.origin.fail(errDown)
		to.want(to.cost, "a", "*cache.UnavailableError")
		to.want(to.cost, "b", "3 fresh memory")
		to.want(to.user, "u", "{} stale memory")
		to.origin.fail(nil)
		to.origin.put("cost", "a", doc("4", 4)) // below the floor that was handed over
		to.want(to.cost, "a", "4 stale origin")
		to.origin.put("cost", "a", doc("5", 5))
		to.want(to.cost, "a", "5 fresh origin")
	})
}

// A value that nobody has confirmed is confirmed where it goes.
func TestHandoffOfWhatIsProvisional(t *testing.T) {
	inPairBubble(t, nil, func(from, to *bench) {
		from.set("a", "2", 0)
		to.live(0)
		to.receives(from)
		to.origin.put("cost", "a", doc("2", 1))
		to.want(to.cost, "a", "2 provisional event")
		time.Sleep(300 * time.Millisecond)
		synctest.Wait()
		to.want(to.cost, "a", "2 fresh memory")
	})
}

// What is known current here is not replaced by what is not known current yet, and what
// is in doubt here becomes current again.
func TestImportBesideWhatIsKept(t *testing.T) {
	inPairBubble(t, nil, func(from, to *bench) {
		for _, b := range []*bench{from, to} {
			b.origin.put("cost", "a", doc("2", 2))
			b.origin.put("user", "u", doc("{}", 1))
			b.load()
			b.want(b.user, "u", "{} fresh origin")
		}
		from.want(from.user, "only there", "absent fresh origin")
		from.live(10 * time.Second)
		to.live(0)
		asked := to.origin.total()
		_, _, err := to.take(from, func(int) {
			to.want(to.cost, "a", "2 fresh memory")
			to.want(to.user, "u", "{} fresh memory")
		})
		if err != nil {
			t.Fatal(err)
		}
		to.want(to.user, "only there", "absent fresh memory")
		to.link.Doubt()
		to.live(0)
		to.receives(from)
		to.want(to.cost, "a", "2 fresh memory")
		to.want(to.cost, "none", "absent fresh memory")
		to.want(to.user, "u", "{} fresh memory")
		if to.origin.total() != asked {
			t.Errorf("the origin was asked %d times", to.origin.total()-asked)
		}
	})
}

// What does not fit leaves no completeness behind; a tenant of 16 MiB goes in pages.
func TestHandoffOfALargeTenant(t *testing.T) {
	inPairBubble(t, func(c *Config) { c.TenantBytes = func(string) int64 { return 1 << 20 } }, func(from, to *bench) {
		value := []byte(`"` + strings.Repeat("x", 1<<20-100) + `"`)
		for i := range 13 {
			from.origin.put("user", fmt.Sprint(i), Document{Value: value})
			if _, err := from.read(from.user, fmt.Sprint(i), ReadOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		from.origin.put("cost", "a", doc("2", 2))
		from.origin.put("cost", "large", Document{Value: value[:700<<10]})
		from.origin.put("cost", "huge", Document{Value: value[:700<<10]})
		from.load()
		from.live(5 * time.Second)
		to.live(0)
		if _, _, err := to.take(from, nil); err != nil {
			t.Fatal(err)
		}
		to.want(to.cost, "none", "absent fresh origin")

		roomy := newBench(from.T, nil)
		roomy.link.Prove(time.Now())
		roomy.tenant.Confirmed()
		roomy.receives(from)
		roomy.want(roomy.cost, "a", "2 fresh memory")
		if n := roomy.tenant.Bytes(); n < 14<<20 {
			t.Errorf("%d bytes", n)
		}
		roomy.checkCharges()
	})
}
