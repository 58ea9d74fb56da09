package subscriber

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
)

// A fence holds when what came before it has been handled, and not before.
func TestFence(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
		s.Follow("a")
		synctest.Wait()
		r.onEvent = func(*Event) { time.Sleep(100 * time.Millisecond) }
		for range 5 {
			send(b, "crm:a:roles", seedMessage)
		}
		r.take()
		began := time.Now()
		if err := s.Fence(t.Context(), 0); err != nil || time.Since(began) != 500*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if lines := r.take(); slices.Index(lines, "proof") < 5 {
			t.Errorf("told %q", lines)
		}
	})
}

// A connection that is not live, or is lost before, has no fences; nor has one of which
// nobody waits for it.
func TestNoFence(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
		synctest.Wait()
		b.set(func() { b.mutePong = true })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Fence(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		began := time.Now()
		if err := s.Fence(t.Context(), 0); !errors.Is(err, ErrNotLive) || time.Since(began) > 4*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		b.set(func() { b.mutePong = false })
		time.Sleep(5 * time.Second)
		var waiting sync.WaitGroup
		b.set(func() { b.mutePong = true })
		waiting.Go(func() {
			if err := s.Fence(t.Context(), 0); !errors.Is(err, ErrNotLive) {
				t.Error(err)
			}
		})
		synctest.Wait()
		cutOff(b)
		waiting.Wait()
		if err := s.Fence(t.Context(), 0); !errors.Is(err, ErrNotLive) {
			t.Error(err)
		}
		b.set(func() { b.mutePong, b.down = false, false })
		time.Sleep(5 * time.Second)
		if err := s.Fence(t.Context(), 0); err != nil {
			t.Error(err)
		}
	})
}

// What was dropped before the fence is doubted before it holds.
func TestFenceAfterAnOverflow(t *testing.T) {
	bubble(t, Config{QueueEvents: 2}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
		s.Follow("a")
		synctest.Wait()
		r.onEvent = func(*Event) { time.Sleep(10 * time.Millisecond) }
		for range 10 {
			send(b, "crm:a:roles", seedMessage)
		}
		r.take()
		if err := s.Fence(t.Context(), 0); err != nil {
			t.Error(err)
		}
		if lines := r.take(); !slices.Contains(lines, "doubt overflow") {
			t.Errorf("told %q", lines)
		}
	})
}

// However many ask at once, few PINGs are sent.
func TestFencesAreShared(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
		synctest.Wait()
		b.set(func() { b.holdReply = true })
		var waiting sync.WaitGroup
		for range 1000 {
			waiting.Go(func() {
				if err := s.Fence(t.Context(), 0); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		b.each(func(l *fakeLink) {
			b.set(func() {
				pongs := 0
				for _, m := range l.held {
					if _, ok := m.(*redis.Pong); ok {
						pongs++
					}
				}
				if pongs != 1 {
					t.Errorf("%d PINGs are under way", pongs)
				}
			})
		})
		b.set(func() { b.holdReply = false })
		b.each(func(l *fakeLink) { b.set(l.flush) })
		waiting.Wait()
	})
}
