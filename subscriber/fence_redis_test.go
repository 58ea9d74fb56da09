package subscriber_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tenantry/tenantry/subscriber"
	"github.com/tenantry/tenantry/subscriber/redistest"
)

// slow takes its time over each event.
type slow struct{ *told }

func (h slow) Event(e *subscriber.Event) {
	<-time.After(500 * time.Microsecond)
	h.told.Event(e)
}

// What is published before a fence is asked for is handled when it holds, also when
// fences are shared.
func TestRedisFence(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		askers  int
		handler func(*told) subscriber.Handler
	}{
		"fast":   {1, func(h *told) subscriber.Handler { return h }},
		"slow":   {1, func(h *told) subscriber.Handler { return slow{h} }},
		"shared": {20, func(h *told) subscriber.Handler { return slow{h} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, h := redistest.Start(t), newTold()
			s := run(t, at(r.Addr()), c.handler(h))
			s.Follow("a")
			h.awaitLine(t, "confirmed a")
			h.awaitProof(t)
			var asking sync.WaitGroup
			for asker := range c.askers {
				asking.Go(func() { publishAndFence(t, r, s, h, asker, 1000/c.askers) })
			}
			asking.Wait()
		})
	}
}

func publishAndFence(t *testing.T, r *redistest.Server, s *subscriber.Subscriber, h *told, asker, times int) {
	for i := range times {
		id := fmt.Sprint(asker, ".", i)
		err := r.Client().Publish(t.Context(), "crm:a:roles", fmt.Sprintf(`{"eventId":%q}`, id)).Err()
		if err := errors.Join(err, s.Fence(t.Context(), s.Conn("a"))); err != nil {
			t.Error(err)
			return
		}
		if !h.was("event a " + id) {
			t.Errorf("the fence held before event %s", id)
		}
	}
}

// was says whether a line has been told.
func (h *told) was(line string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Contains(h.lines, line)
}

// A fence does not hold, and does not wait for the handler either, once its
// connection is lost.
func TestRedisFenceOfALostConnection(t *testing.T) {
	t.Parallel()
	r, h := redistest.Start(t), newTold()
	h.delay = make(chan struct{})
	s := run(t, at(r.Addr()), h)
	defer close(h.delay)
	s.Follow("a")
	h.awaitLine(t, "confirmed a")
	h.awaitProof(t)
	publish(t, r, "crm:a:roles", "1")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Fence(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v while the event is being handled", err)
	}
	held := make(chan error)
	go func() { held <- s.Fence(context.Background(), 0) }()
	if err := r.Client().ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err(); err != nil {
		t.Fatal(err)
	}
	if err := <-held; !errors.Is(err, subscriber.ErrNotLive) {
		t.Error(err)
	}
}
