package traffic

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tenantry/tenantry/cmd/chaos/history"
	"github.com/tenantry/tenantry/cmd/chaos/origin"
	"github.com/tenantry/tenantry/cmd/chaos/world"
)

// Writer changes items, one at a time, and publishes beside that.
type Writer struct {
	Log    *history.Log
	Origin *origin.Origin
	Bus    *redis.Client
	// Choose returns the item to change next.
	Choose func(*rand.Rand) int
	// PerSecond is how many changes there are.
	PerSecond float64
	// Late is the most that a late publisher is late.
	Late time.Duration
	// Silent says that some changes are never published: only the TTL ends them.
	Silent bool
	// Turnover has items deleted, and told of without a value, far more often.
	Turnover bool

	rand       *rand.Rand
	publishing sync.WaitGroup
	slots      chan struct{}
}

// maxPublishing bounds the events that wait for their acknowledgement.
const maxPublishing = 2048

// Run changes items until ctx ends, and then waits for what is being published:
// after drain, for no acknowledgement any longer.
func (w *Writer) Run(ctx context.Context, seed uint64, drain time.Duration) {
	w.rand = rand.New(rand.NewPCG(seed, 1))
	w.slots = make(chan struct{}, maxPublishing)
	publishing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	interval := time.Duration(float64(time.Second) / w.PerSecond)
	for next := w.Log.Now(); world.Pause(ctx, next-w.Log.Now()); next = max(next+interval, w.Log.Now()-time.Second) {
		w.change(publishing)
	}
	timer := time.AfterFunc(drain, stop)
	defer timer.Stop()
	w.publishing.Wait()
}

// manner is how a change is told.
type manner struct {
	share int
	tell  func(w *Writer, ctx context.Context, item int)
}

// manners are all of them, with their shares of the changes.
func (w *Writer) manners() []manner {
	silent, turnover := 0, 0
	if w.Silent {
		silent = 2
	}
	if w.Turnover {
		turnover = 40
	}
	return []manner{
		{44, (*Writer).well},
		{10, (*Writer).unversioned},
		{10 + turnover, (*Writer).invalidating},
		{8, (*Writer).late},
		{6, (*Writer).twice},
		{8, (*Writer).wrongOrder},
		{6, (*Writer).mixed},
		{6 + turnover, (*Writer).deleting},
		{silent, (*Writer).silent},
	}
}

func (w *Writer) change(ctx context.Context) {
	item := w.Choose(w.rand)
	all, sum := w.manners(), 0
	for _, m := range all {
		sum += m.share
	}
	n := w.rand.IntN(sum)
	for _, m := range all {
		if n -= m.share; n < 0 {
			m.tell(w, ctx, item)
			return
		}
	}
}

// whole is an event with everything that a good publisher says.
func (w *Writer) whole() origin.Announcement {
	return origin.Announcement{Value: true, Versioned: true, Alias: w.rand.IntN(4) == 0}
}

func (w *Writer) commit(item int) (history.Commit, int) { return w.Origin.Commit(item, false) }

func (w *Writer) well(ctx context.Context, item int) {
	c, i := w.commit(item)
	w.publish(ctx, 0, item, c, i, w.whole())
}

func (w *Writer) unversioned(ctx context.Context, item int) {
	c, i := w.commit(item)
	w.publish(ctx, 0, item, c, i, origin.Announcement{Value: true})
}

func (w *Writer) invalidating(ctx context.Context, item int) {
	c, i := w.commit(item)
	w.publish(ctx, 0, item, c, i, origin.Announcement{Versioned: w.rand.IntN(2) == 0})
}

func (w *Writer) late(ctx context.Context, item int) {
	c, i := w.commit(item)
	a := w.whole()
	a.Versioned = w.rand.IntN(2) == 0
	w.publish(ctx, w.random(w.Late), item, c, i, a)
}

func (w *Writer) twice(ctx context.Context, item int) {
	c, i := w.commit(item)
	a := w.whole()
	a.Versioned = w.rand.IntN(2) == 0
	w.publish(ctx, 0, item, c, i, a)
	w.publish(ctx, w.random(w.Late), item, c, i, a)
}

// wrongOrder commits a few, and tells of the last one first, at times without
// its value.
func (w *Writer) wrongOrder(ctx context.Context, item int) {
	a := w.whole()
	a.Versioned = w.rand.IntN(2) == 0
	n, gap := 2+w.rand.IntN(2), w.random(300*time.Millisecond)
	if w.rand.IntN(2) == 0 {
		gap = 2 * time.Millisecond
	}
	for left := n - 1; left >= 0; left-- {
		c, i := w.commit(item)
		if left == 0 {
			a.Value = w.rand.IntN(2) == 0
		}
		w.publish(ctx, time.Duration(left)*gap, item, c, i, a)
	}
}

// mixed tells of several, each in another way.
func (w *Writer) mixed(ctx context.Context, item int) {
	for range 2 + w.rand.IntN(4) {
		c, i := w.commit(item)
		w.publish(ctx, w.random(20*time.Millisecond), item, c, i, origin.Announcement{
			Value: w.rand.IntN(4) != 0, Versioned: w.rand.IntN(2) == 0,
		})
	}
}

// deleting deletes an item; the next change makes it anew.
func (w *Writer) deleting(ctx context.Context, item int) {
	c, i := w.Origin.Commit(item, true)
	w.publish(ctx, 0, item, c, i, w.whole())
}

func (w *Writer) silent(_ context.Context, item int) { w.commit(item) }

func (w *Writer) random(most time.Duration) time.Duration {
	return time.Duration(w.rand.Int64N(int64(most) + 1))
}

// publish publishes after a delay, until it is acknowledged.
func (w *Writer) publish(ctx context.Context, after time.Duration, item int, c history.Commit, index int, a origin.Announcement) {
	channel, message := w.Origin.Event(item, c, a)
	w.slots <- struct{}{}
	w.publishing.Go(func() {
		defer func() { <-w.slots }()
		if !world.Pause(ctx, after) {
			return
		}
		e := history.Event{Commit: index, First: w.Log.Now(), Acked: history.Never, Sets: a.Value, What: a.String()}
		w.Log.Announcing(item, e)
		for w.Bus.Publish(ctx, channel, message).Err() != nil {
			if !world.Pause(ctx, retryInterval) {
				return
			}
		}
		e.Acked = w.Log.Now()
		w.Log.Announced(item, e)
	})
}

const retryInterval = 50 * time.Millisecond
