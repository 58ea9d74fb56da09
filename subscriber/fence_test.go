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

// What a fence proves is known for each connection anew.
func TestRelayed(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, b *fakeBus, s *Subscriber, _ *recorder) {
		for _, want := range []bool{false, true, false} {
			b.set(func() { b.relayed = want })
			b.each(func(l *fakeLink) { _ = l.Close() })
			time.Sleep(5 * time.Second)
			if st := s.Status()[0]; st.Relayed != want || !st.Live {
				t.Errorf("%+v, want relayed %v", st, want)
			}
		}
	})
}

// A fence waits for numbers that are missing: what was published before it is not all
// handled while one of them may have been lost.
func TestFenceWaitsForMissingNumbers(t *testing.T) {
	for late, want := range map[bool]struct {
		took time.Duration
		gaps int
	}{
		true:  {50 * time.Millisecond, 0},
		false: {reorderTime, 1},
	} {
		bubble(t, Config{}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
			s.Follow("a")
			time.Sleep(1100 * time.Millisecond)
			r.take()
			send(b, "crm:a:roles", numbered("s", 1, "x"))
			send(b, "crm:a:roles", numbered("s", 3, "z"))
			began := time.Now()
			if late {
				time.AfterFunc(50*time.Millisecond, func() { send(b, "crm:a:roles", numbered("s", 2, "y")) })
			}
			err := s.Fence(t.Context(), 0)
			if gaps := r.count("gap a roles"); err != nil || time.Since(began) != want.took || gaps != want.gaps {
				t.Errorf("late %v: %v after %v, %d gaps", late, err, time.Since(began), gaps)
			}
			if err := s.Fence(t.Context(), 0); err != nil || time.Since(began) != want.took {
				t.Errorf("late %v: the next: %v after %v", late, err, time.Since(began))
			}
		})
	}
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
		lines := r.take()
		if i := slices.Index(lines, "doubt overflow"); i < 2 || !slices.Contains(lines[i:], "proof") {
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

// A PING that is on its way already proves nothing to those who ask later: they share
// the next.
func TestFenceAskedForAfterThePing(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
		s.Follow("a")
		synctest.Wait()
		r.onEvent = func(*Event) { time.Sleep(100 * time.Millisecond) }
		b.set(func() { b.holdReply = true })
		began := time.Now()
		var waiting sync.WaitGroup
		fence := func(want time.Duration) {
			if err := s.Fence(t.Context(), 0); err != nil || time.Since(began) != want {
				t.Errorf("%v after %v, want %v", err, time.Since(began), want)
			}
		}
		waiting.Go(func() { fence(0) })
		synctest.Wait() // its PING has been answered, and the answer is held
		b.each(func(l *fakeLink) {
			b.set(func() { l.held = append(l.held, &redis.Message{Channel: "crm:a:roles", Payload: seedMessage}) })
		})
		for range 10 {
			waiting.Go(func() { fence(100 * time.Millisecond) })
		}
		synctest.Wait()
		b.set(func() { b.holdReply = false })
		b.each(func(l *fakeLink) { b.set(l.flush) })
		waiting.Wait()
	})
}

// Those who wait no more leave one PING at most, and nothing once it is back.
func TestFenceGivenUp(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
		synctest.Wait()
		l := s.conns[0].current.Load()
		outstanding := func() int {
			l.pings.mu.Lock()
			defer l.pings.mu.Unlock()
			return len(l.pings.probes)
		}
		b.set(func() { b.holdReply = true })
		for range 900 { // no heartbeat comes between
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			if err := s.Fence(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			cancel()
		}
		if n := outstanding(); n != 1 {
			t.Errorf("%d PINGs are under way", n)
		}
		b.set(func() { b.holdReply = false })
		b.each(func(l *fakeLink) { b.set(l.flush) })
		synctest.Wait()
		if n := outstanding(); n != 0 || l.fences.next != nil || l.fences.sent != nil {
			t.Errorf("%d PINGs and %+v are left", n, &l.fences)
		}
	})
}

// A lost connection ends all of its fences at once, whatever its handler does.
func TestFencesOfALostConnection(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
		s.Follow("a")
		synctest.Wait()
		release := make(chan struct{})
		r.onEvent = func(*Event) { <-release }
		send(b, "crm:a:roles", seedMessage)
		began := time.Now()
		var waiting sync.WaitGroup
		for range 1000 {
			waiting.Go(func() {
				if err := s.Fence(t.Context(), 0); !errors.Is(err, ErrNotLive) {
					t.Error(err)
				}
			})
		}
		cutOff(b)
		waiting.Wait()
		if err := s.Fence(t.Context(), 0); !errors.Is(err, ErrNotLive) || time.Since(began) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		close(release)
	})
}

// A connection that has not given a proof yet has no fences.
func TestNoFenceBeforeAProof(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
		cutOff(b)
		synctest.Wait() // nothing is left of the first
		b.set(func() { b.down, b.mutePong, b.loseBeats = false, true, true })
		for s.conns[0].current.Load() == nil {
			time.Sleep(time.Millisecond)
		}
		began := time.Now()
		if err := s.Fence(t.Context(), 0); !errors.Is(err, ErrNotLive) || time.Since(began) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}
