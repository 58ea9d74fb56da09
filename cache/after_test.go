package cache

import (
	"testing"
	"time"
)

// after reads what must not be older than an answer.
func (b *bench) after(k *Kind, key string, a Answer, want string) {
	b.Helper()
	b.wantWith(k, key, ReadOptions{Position: a.Position, Settled: a.Settled}, want)
}

// answered reads.
func (b *bench) answered(k *Kind, key, want string) Answer {
	b.Helper()
	a, err := b.read(k, key, ReadOptions{})
	if got := describe(a, err); got != want {
		b.Errorf("%s, want %s", got, want)
	}
	return a
}

// An event without a version may come late: who has seen the value after it does
// not get the one before.
func TestNothingOlderFromALateEvent(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.put("cost", "a", doc("2", 0))
		two := b.answered(b.cost, "a", "2 fresh origin")
		b.live(time.Second)
		b.after(b.cost, "a", two, "2 fresh memory")
		b.set("a", "1", 0) // of before
		one := b.answered(b.cost, "a", "1 provisional event")
		b.live(time.Millisecond)
		b.after(b.cost, "a", two, "2 fresh origin")
		b.live(time.Millisecond)
		b.set("a", "3", 0)
		b.after(b.cost, "a", one, "2 fresh origin")
		b.tenant.Apply(Change{Kind: b.cost, Key: "a", Effect: Remove})
		b.after(b.cost, "a", two, "2 fresh origin")
	})
}

// Who has seen what an event announced may be answered with it again.
func TestAnAnnouncedValueIsSeenAgain(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.put("cost", "a", doc("1", 0))
		b.answered(b.cost, "a", "1 fresh origin")
		b.origin.put("cost", "a", doc("2", 0))
		b.set("a", "2", 0)
		announced := b.answered(b.cost, "a", "2 provisional event")
		b.after(b.cost, "a", announced, "2 provisional event")
		b.live(time.Second) // confirmed
		b.after(b.cost, "a", announced, "2 fresh memory")
	})
}

// Two reads of the origin that overlap may bring what it had in either order.
func TestNothingOlderFromAnOverlappingRead(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		now := b.cache.clock.now()
		first := fill{content: content{key: "u", value: []byte("new")}, hash: b.cache.hash("u"), start: now, generation: b.tenant.generation()}
		second := first
		second.content.value, second.start = []byte("old"), now.add(100*time.Millisecond)
		time.Sleep(300 * time.Millisecond)
		b.keep(b.user, first)
		seen := b.answered(b.user, "u", "new fresh memory")
		b.keep(b.user, second)
		b.answered(b.user, "u", "old fresh memory")
		b.origin.put("user", "u", doc("new", 0))
		b.after(b.user, "u", seen, "new fresh origin")
	})
}

func (b *bench) keep(k *Kind, f fill) {
	b.tenant.mu.Lock()
	defer b.tenant.mu.Unlock()
	b.tenant.keep(b.tenant.storeFor(k), f)
}
