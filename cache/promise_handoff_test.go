package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// withTwin adds another node of the tenant, with a cache, a connection and troubles of
// its own.
func (w *world) withTwin(t *testing.T) {
	v := &world{r: w.r, connected: true, mu: w.mu, items: w.items, other: w.other}
	v.bench = newBench(t, func(c *Config) {
		c.Kinds, c.Source, c.TenantBytes = w.cache.kinds, w.cache.source, w.cache.tenantBytes
		c.SoftTimeout, c.AdaptiveTTL = w.cache.softTimeout, w.cache.adaptive
	})
	v.origin, v.cost, v.user = w.origin, w.cost, w.user
	w.twin = v
}

// fence returns the generation behind which everything has been applied that was
// published before the call.
func (w *world) fence() (generation uint64, ok bool) {
	passed := make(chan struct{})
	w.mu.Lock()
	generation, ok = w.tenant.Generation(), w.connected
	if ok {
		w.inbox = append(w.inbox, message{due: time.Now(), fence: passed})
	}
	w.mu.Unlock()
	if !ok {
		return 0, false
	}
	select {
	case <-passed:
		return generation, w.tenant.Generation() == generation
	case <-time.After(3 * time.Second):
		return 0, false
	}
}

var errUnfenced = errors.New("the fence did not hold")

// handoff is a way in which a tenant is handed over.
type handoff struct {
	kinds             []*Kind
	asks, page, ends  time.Duration // on their way
	breaksOff         int           // before this page; 0: not
	withoutConclusion bool          // of the exporter's fence, as on Redis Cluster
}

func (w *world) handoff() (h handoff) {
	for _, k := range w.cache.kinds {
		if rapid.IntRange(0, 3).Draw(w.r, k.Name) > 0 {
			h.kinds = append(h.kinds, k)
		}
	}
	travel := rapid.SampledFrom(travels)
	h.asks, h.page, h.ends = travel.Draw(w.r, "asks"), travel.Draw(w.r, "page"), travel.Draw(w.r, "ends")
	h.breaksOff = max(0, rapid.IntRange(-9, 4).Draw(w.r, "breaks off"))
	h.withoutConclusion = rapid.IntRange(0, 9).Draw(w.r, "without conclusion") == 0
	return h
}

// take takes what another node has, meanwhile.
func (w *world) take(from *world) {
	h := w.handoff()
	w.reads.Go(func() {
		_, _, _ = w.tenant.Import(context.Background(), h.kinds, func(keep func(*Kind, []Handed) error) (End, error) {
			time.Sleep(h.asks)
			return h.pull(from, keep)
		})
	})
}

func (h *handoff) pull(from *world, keep func(*Kind, []Handed) error) (End, error) {
	generation, ok := from.fence()
	if !ok {
		return End{}, errUnfenced
	}
	pages := 0
	end, err := from.tenant.Export(h.kinds, generation, 1, func(k *Kind, page []Handed) error {
		if pages++; pages == h.breaksOff {
			return errUnfenced
		}
		sent := slices.Clone(page)
		for i := range sent {
			sent[i].Value = bytes.Clone(sent[i].Value)
		}
		time.Sleep(h.page)
		return keep(k, sent)
	})
	time.Sleep(h.ends)
	if h.withoutConclusion {
		end.Undoubted = false
	}
	return end, err
}

// peek looks at an item, and judges the answer.
func (w *world) peek() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.items {
		a, ok := w.tenant.Peek(h.kind, h.key)
		if !ok || a.State != Fresh {
			continue
		}
		if why, broken := h.breaks(string(a.Value), time.Now()); broken {
			w.broken = append(w.broken, fmt.Sprintf("peek %s %s: %s", h.kind.Name, h.key, why))
		}
	}
}

// raceTwin commits while both nodes read the item, or take it from each other.
func (w *world) raceTwin() {
	h := w.item()
	for range rapid.IntRange(1, 3).Draw(w.r, "reads") {
		v := w.either()
		if rapid.Bool().Draw(w.r, "takes") {
			v.take(w.otherThan(v))
		} else {
			v.read(h, ReadOptions{HasMaxAge: true})
		}
		time.Sleep(rapid.SampledFrom(travels).Draw(w.r, "between"))
	}
	w.commitTo(h)
}

func (w *world) either() *world {
	if rapid.Bool().Draw(w.r, "twin") {
		return w.twin
	}
	return w
}

func (w *world) otherThan(v *world) *world {
	if v == w {
		return w.twin
	}
	return w
}

// on makes an action one of either node.
func (w *world) on(action func(*world)) func() {
	return func() { action(w.either()) }
}

// Whatever nodes hand over to each other, of whatever they missed themselves, no FRESH
// answer of either breaks the promise.
func TestThePromiseIsKeptByHandoffs(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		inRapidBubble(t, func(t *testing.T) {
			w := newWorld(t, r)
			w.withTwin(t)
			take := w.on(func(v *world) { v.take(w.otherThan(v)) })
			pass := func() { w.pass(); w.twin.readAll(); w.twin.peek(); w.twin.check() }
			w.run([]func(){
				w.commit, w.commit, w.raceTwin, w.raceTwin, take, take, take, pass, pass, pass,
				w.on((*world).readOne), w.on((*world).readAll), w.on((*world).peek), w.on((*world).load),
				w.on((*world).lose), w.on((*world).overflow), w.on((*world).evict), w.on((*world).silence), w.on((*world).down),
			})
		})
	})
}
