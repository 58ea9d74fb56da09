package cache

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRefreshAhead(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.cost.Listed = false
		b.origin.put("cost", "hot", doc("1", 1))
		b.origin.put("cost", "cold", doc("1", 1))
		b.want(b.cost, "hot", "1 fresh origin")
		b.want(b.cost, "cold", "1 fresh origin")
		b.origin.delay(50 * time.Millisecond)
		for range 3 * 3600 { // three TTLs, a read each second
			b.live(time.Second)
			b.want(b.cost, "hot", "1 fresh memory")
		}
		if n := b.origin.count("cost", "hot"); n < 3 || n > 6 {
			b.Errorf("%d origin reads in three TTLs", n)
		}
		if n := b.origin.count("cost", "cold"); n != 1 {
			b.Errorf("%d origin reads of what nobody asks for", n)
		}
	})
}

// A read ahead that fails is not repeated at each read: the origin is in trouble.
func TestRefreshAheadOfABrokenOrigin(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.cost.Listed = false
		b.origin.put("cost", "hot", doc("1", 1))
		b.want(b.cost, "hot", "1 fresh origin")
		b.live(52 * time.Minute)
		b.origin.fail(errDown)
		for range 100 {
			b.want(b.cost, "hot", "1 fresh memory")
			b.live(10 * time.Millisecond)
		}
		if n := b.origin.count("cost", "hot"); n > 3 { // the first, and one for each part of the time left
			b.Errorf("%d origin reads", n)
		}
	})
}

// A read ahead that fails is tried again before the TTL ends.
func TestRefreshAheadIsTriedAgain(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.cost.Listed = false
		b.origin.put("cost", "hot", doc("1", 1))
		b.want(b.cost, "hot", "1 fresh origin")
		b.live(b.ttl("hot")*4/5 + time.Second)
		b.origin.fail(errDown)
		for range 60 {
			b.want(b.cost, "hot", "1 fresh memory")
			b.live(time.Second)
		}
		if n := b.origin.count("cost", "hot"); n != 2 {
			b.Errorf("%d origin reads, want the first and one that failed", n)
		}
		b.origin.fail(nil)
		for range 3600 {
			b.want(b.cost, "hot", "1 fresh memory")
			b.live(time.Second)
		}
	})
}

// ttl returns the TTL of a cost, with its jitter.
func (b *bench) ttl(key string) time.Duration {
	e := b.tenant.store(b.cost).entry(b.cache.hash(key), key)
	return e.expires.sub(e.verified)
}

// Entries of a kind with lists wait for their list, and are read one by one only
// if none has come by the very end.
func TestRefreshAheadOfWhatIsListed(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.put("cost", "hot", doc("1", 1))
		b.want(b.cost, "hot", "1 fresh origin")
		ttl := b.ttl("hot")
		b.live(ttl * 9 / 10)
		b.want(b.cost, "hot", "1 fresh memory")
		b.live(time.Second)
		if n := b.origin.count("cost", "hot"); n != 1 {
			b.Errorf("%d origin reads before the end of the TTL", n)
		}
		b.live(ttl * 8 / 100)
		b.want(b.cost, "hot", "1 fresh memory")
		b.live(time.Second)
		if n := b.origin.count("cost", "hot"); n != 2 {
			b.Errorf("%d origin reads at the end of the TTL, want one more", n)
		}
	})
}

// Reference entries expire: reading them all ahead would keep what nobody needs.
func TestRefreshAheadOfCriticalAlone(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.put("user", "u", doc("{}", 0))
		b.want(b.user, "u", "{} fresh origin")
		for range 265 {
			b.live(time.Second)
			b.want(b.user, "u", "{} fresh memory")
		}
		if n := b.origin.count("user", "u"); n != 1 {
			b.Errorf("%d origin reads", n)
		}
	})
}

// Never more reads ahead than there is room for are in flight; the next reads of
// what found none begin theirs.
func TestRefreshAheadIsBounded(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.cost.Listed = false
		const n = 3 * maxRefreshes
		readAll := func() {
			for i := range n {
				b.want(b.cost, fmt.Sprint(i), "1 fresh memory")
			}
		}
		for i := range n {
			b.origin.put("cost", fmt.Sprint(i), doc("1", 1))
			b.want(b.cost, fmt.Sprint(i), "1 fresh origin")
		}
		b.live(53 * time.Minute) // in the last fifth of every TTL
		b.origin.delay(time.Second)
		for i := range 3 {
			readAll()
			readAll()
			time.Sleep(time.Millisecond)
			if got := b.origin.total() - n; got != (i+1)*maxRefreshes {
				b.Errorf("%d reads ahead were begun, want %d at a time", got, maxRefreshes)
			}
			b.live(time.Second)
		}
		readAll()
		time.Sleep(time.Millisecond)
		if got := b.origin.total() - n; got != n {
			b.Errorf("%d reads ahead of %d entries", got, n)
		}
	})
}

// A read ahead is a lease like any other: an event revokes it.
func TestAnEventBeatsARefresh(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.cost.Listed = false
		b.origin.put("cost", "a", doc("1", 1))
		b.want(b.cost, "a", "1 fresh origin")
		b.live(53 * time.Minute)
		b.origin.delay(time.Second)
		b.want(b.cost, "a", "1 fresh memory") // begins one
		b.live(500 * time.Millisecond)
		b.set("a", "2", 2)
		b.live(time.Second)
		if a, err := b.read(b.cost, "a", ReadOptions{}); err != nil || string(a.Value) != "2" {
			b.Errorf("%s %v", a.Value, err)
		}
	})
}

// A read ahead is not the second look at a document below the floor: only a
// confirmation, confirm_after later, has the last word (C3).
func TestARefreshIsNotTheLastWord(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.cost.Listed = false
		b.origin.put("cost", "a", doc("2", 2))
		b.want(b.cost, "a", "2 fresh origin")
		b.live(53 * time.Minute)
		b.origin.put("cost", "a", doc("1", 1)) // a replica behind
		b.wantWith(b.cost, "a", ReadOptions{HasMaxAge: true}, "1 stale origin")
		b.want(b.cost, "a", "2 fresh memory") // begins a read ahead
		b.live(100 * time.Millisecond)
		b.want(b.cost, "a", "2 fresh memory")
		b.origin.put("cost", "a", doc("2", 2))
		b.live(time.Second)
		b.want(b.cost, "a", "2 fresh memory")
	})
}

// Entries that are loaded together do not expire together.
func TestTTLsSpread(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		const n, buckets = 10_000, 20
		for i := range n {
			b.origin.put("cost", fmt.Sprint(i), doc("1", 1))
		}
		if err := b.tenant.Load(b.Context(), b.cost); err != nil {
			b.Fatal(err)
		}
		var spread [buckets]int
		for e := range b.tenant.store(b.cost).table.Load().all {
			share := float64(e.expires.sub(e.verified))/float64(b.cost.TTL) - 0.9
			spread[min(max(int(share/0.2*buckets), 0), buckets-1)]++
		}
		for i, got := range spread {
			if got < n/buckets*7/10 || got > n/buckets*13/10 {
				b.Errorf("bucket %d of the ± 10 %% holds %d of %d: %v", i, got, n, spread)
			}
		}
	})
}

type traceName struct{}

// tracedOrigin notes the values of the contexts that it is read with.
type tracedOrigin struct {
	*fakeOrigin
	seen []any
}

func (o *tracedOrigin) One(ctx context.Context, tenant string, k *Kind, key, etag string) (Document, error) {
	o.seen = append(o.seen, ctx.Value(traceName{}))
	return o.fakeOrigin.One(ctx, tenant, k, key, etag)
}

// An origin read has the values of the read that began it, not its end.
func TestFlightsAreTraced(t *testing.T) {
	traced := &tracedOrigin{}
	inBubble(t, func(c *Config) { traced.fakeOrigin, c.Source = c.Source.(*fakeOrigin), traced }, func(b *bench) {
		b.origin.put("user", "u", doc("{}", 0))
		b.origin.delay(100 * time.Millisecond)
		ctx, cancel := context.WithTimeout(context.WithValue(b.Context(), traceName{}, "trace"), 10*time.Millisecond)
		defer cancel()
		if _, err := b.tenant.Read(ctx, b.user, "u", ReadOptions{}); err == nil {
			b.Error("a read outlived its context")
		}
		time.Sleep(time.Second)
		b.want(b.user, "u", "{} fresh memory")
		if diff := cmp.Diff([]any{"trace"}, traced.seen); diff != "" {
			b.Error(diff)
		}
	})
}
