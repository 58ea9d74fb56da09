package subscriber

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"
)

const seedMessage = `{"eventId":"change-123","eventType":"credit-config-changed","tenantId":"a","data":{"key":"k"}}`

func want(t *testing.T, r *recorder, lines ...string) {
	t.Helper()
	synctest.Wait()
	if diff := cmp.Diff(lines, r.take()); diff != "" {
		t.Errorf("handler was told (-want +got):\n%s", diff)
	}
}

func send(b *fakeBus, channel, payload string) {
	b.each(func(l *fakeLink) { l.deliver(&redis.Message{Channel: channel, Payload: payload}) })
}

// cutOff ends every connection and refuses new ones.
func cutOff(b *fakeBus) {
	synctest.Wait()
	b.set(func() { b.down = true })
	b.each(func(l *fakeLink) { _ = l.Close() })
}

func TestFollowConfirmEventUnfollow(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
		synctest.Wait()
		want(t, r, "proof")
		s.Follow("a")
		want(t, r, "confirmed a")
		send(b, "crm:a:roles", seedMessage)
		send(b, "crm:b:roles", seedMessage)
		send(b, "other:a:roles", seedMessage)
		want(t, r, "event a roles k")
		s.Unfollow("a")
		send(b, "crm:a:roles", seedMessage)
		want(t, r)
		if st := s.Status()[0]; !st.Live || st.Tenants != 0 || st.Channels != 1 {
			t.Errorf("status %+v: want live, no tenants, the beat channel", st)
		}
	})
}

func TestFollowAgain(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
		s.Follow("a")
		synctest.Wait()
		r.take()
		s.Follow("a")
		want(t, r, "confirmed a")
		s.Unfollow("a") // and back before the writer may have acted
		s.Follow("a")
		synctest.Wait()
		if lines := r.take(); len(lines) == 0 || slices.ContainsFunc(lines, func(l string) bool { return l != "confirmed a" }) {
			t.Errorf("told %q, want that a is confirmed", lines)
		}

		b.set(func() { b.holdReply = true })
		s.Unfollow("a")
		synctest.Wait() // the command is in flight
		s.Follow("a")
		want(t, r)
		b.set(func() { b.holdReply = false })
		b.each(func(l *fakeLink) { b.set(l.flush) })
		want(t, r, "confirmed a")
	})
}

func TestUnfollowInConfirmed(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
		r.onConfirmed = func(tenant string) { s.Unfollow(tenant); s.Follow(tenant); s.Unfollow(tenant) }
		s.Follow("a")
		synctest.Wait()
		b.each(func(l *fakeLink) {
			b.set(func() {
				if l.channels["crm:a:roles"] {
					t.Error("a is still subscribed")
				}
			})
		})
	})
}

func TestReconnectConfirmsBeforeProof(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
		s.Follow("a", "b")
		synctest.Wait()
		r.take()
		b.set(func() { b.holdReply = true })
		b.each(func(l *fakeLink) {
			l.deliver(&redis.Message{Channel: "crm:a:users", Payload: seedMessage})
			_ = l.Close()
		})
		synctest.Wait()
		lines := r.take()
		if !slices.Equal(lines, []string{"event a users k", "doubt connection"}) && !slices.Equal(lines, []string{"doubt connection"}) {
			t.Errorf("told %q, want the event, if it was read, before the doubt", lines)
		}
		if s.Status()[0].Live || s.Status()[0].Err == nil {
			t.Errorf("status %+v: want not live, and why", s.Status()[0])
		}
		time.Sleep(time.Second)
		want(t, r)
		b.set(func() { b.holdReply = false })
		b.each(func(l *fakeLink) { b.set(l.flush) })
		synctest.Wait()
		lines = r.take()
		slices.Sort(lines[:2])
		if diff := cmp.Diff([]string{"confirmed a", "confirmed b", "proof"}, lines); diff != "" {
			t.Error(diff)
		}
	})
}

func TestUnconfirmedTenantHoldsProofBackUntilLeft(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
		cutOff(b)
		time.Sleep(time.Minute)
		s.Follow("a")
		r.take()
		b.set(func() { b.down, b.holdReply = false, true })
		time.Sleep(2 * time.Second)
		want(t, r)
		s.Unfollow("a")
		b.set(func() { b.holdReply = false })
		b.each(func(l *fakeLink) { b.set(l.flush) })
		time.Sleep(2 * time.Second)
		want(t, r, "proof")
	})
}

func TestServerAbsentAtStart(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
		cutOff(b)
		s.Follow("a")
		time.Sleep(time.Minute)
		r.take()
		b.set(func() { b.dials = 0 })
		time.Sleep(time.Minute)
		b.set(func() {
			if b.dials < 30 || b.dials > 80 {
				t.Errorf("%d attempts in a minute, want one in 1 to 2 s", b.dials)
			}
			b.down = false
		})
		r.take()
		time.Sleep(3 * time.Second)
		want(t, r, "confirmed a", "proof")
	})
}

func TestPongNotBack(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
		s.Follow("a")
		time.Sleep(1500 * time.Millisecond)
		r.take()
		b.set(func() { b.mutePong = true; b.loseBeats = true; b.publishErr = errors.New("time-out") })
		time.Sleep(3 * time.Second)
		want(t, r)
		time.Sleep(time.Second)
		if got := r.count("doubt pong"); got != 1 {
			t.Errorf("%d doubts, want 1: %q", got, r.take())
		}
	})
}

func TestProofsAreSendTimes(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
		start := time.Now()
		b.set(func() { b.holdReply = true; b.publishErr = errors.New("no beats") })
		time.Sleep(2500 * time.Millisecond)
		b.set(func() { b.holdReply = false })
		b.each(func(l *fakeLink) { b.set(l.flush) })
		synctest.Wait()
		var got []time.Duration
		for _, p := range r.proofs {
			got = append(got, p.Sub(start))
		}
		if diff := cmp.Diff([]time.Duration{0, time.Second, 2 * time.Second}, got); diff != "" {
			t.Errorf("proofs (-want +got):\n%s", diff)
		}
	})
}

func TestForgedProofsAreIgnored(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
		b.set(func() { b.publishErr = errors.New("no beats of ours"); b.mutePong = true })
		time.Sleep(500 * time.Millisecond)
		r.take()
		for _, payload := range []string{"", "1", strings.Repeat("x", 1<<20), token()} {
			send(b, s.beatChannel, payload)
			b.each(func(l *fakeLink) { l.deliver(&redis.Pong{Payload: payload}) })
		}
		want(t, r)
		if got := testutil.ToFloat64(s.metrics.ignored); got != 4 {
			t.Errorf("%v beats ignored, want 4", got)
		}
	})
}

func TestUnaskedReplies(t *testing.T) {
	replies := map[string]any{
		"again":       &redis.Subscription{Kind: "subscribe", Channel: "crm:a:roles"},
		"left":        &redis.Subscription{Kind: "unsubscribe", Channel: "crm:a:roles"},
		"stranger":    &redis.Subscription{Kind: "subscribe", Channel: "crm:z:roles"},
		"no prefix":   &redis.Subscription{Kind: "unsubscribe"},
		"missing one": &redis.Pong{},
	}
	for name, reply := range replies {
		t.Run(name, func(t *testing.T) {
			bubble(t, Config{}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
				s.Follow("a")
				synctest.Wait()
				r.take()
				if pong, ok := reply.(*redis.Pong); ok {
					pong.Payload = swallowReply(b, s)
					r.take()
				}
				b.each(func(l *fakeLink) { l.deliver(reply) })
				want(t, r, "doubt reconnect")
			})
		})
	}
}

// swallowReply makes the server answer a PING, but not the SUBSCRIBE before it.
func swallowReply(b *fakeBus, s *Subscriber) (pong string) {
	b.set(func() { b.holdReply = true })
	s.Follow("b")
	time.Sleep(1100 * time.Millisecond)
	b.each(func(l *fakeLink) {
		for _, m := range l.held {
			if p, ok := m.(*redis.Pong); ok {
				pong = p.Payload
			}
		}
	})
	return pong
}

// The doubt stands between what was queued before the loss and what came after.
func TestOverflowDoubtsAtItsPlace(t *testing.T) {
	bubble(t, Config{QueueEvents: 2}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
		s.Follow("a")
		synctest.Wait()
		r.take()
		release := make(chan struct{})
		r.onEvent = func(*Event) { <-release }
		message := func(key string) string { return fmt.Sprintf(`{"data":{"key":%q}}`, key) }
		send(b, "crm:a:roles", message("1"))
		synctest.Wait() // 1 is being handled, and still counts
		for _, key := range []string{"2", "lost", "lost"} {
			send(b, "crm:a:roles", message(key))
		}
		synctest.Wait()
		release <- struct{}{}
		synctest.Wait() // 2 is being handled, with room for one
		send(b, "crm:a:roles", message("3"))
		send(b, "crm:a:roles", message("lost"))
		synctest.Wait()
		close(release)
		want(t, r, "event a roles 1", "event a roles 2", "doubt overflow", "event a roles 3", "doubt overflow")
		if got := testutil.ToFloat64(s.metrics.dropped); got != 3 {
			t.Errorf("%v dropped, want 3", got)
		}
		if !s.Status()[0].Live {
			t.Error("the connection was lost")
		}
	})
}

func TestRefusedEventsTouchNothingElse(t *testing.T) {
	bubble(t, Config{MaxEventBytes: 1000}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
		s.Follow("a")
		synctest.Wait()
		r.take()
		send(b, "crm:a:roles", `{`)
		send(b, "crm:a:roles", strings.Repeat("[", 900))
		send(b, "crm:a:users", strings.Repeat("x", 1001))
		send(b, "crm:z:users", strings.Repeat("x", 1001))
		send(b, "crm:a:roles", `{"tenantId":"b","data":{"key":"k"}}`)
		send(b, "crm:a:roles", seedMessage)
		want(t, r, "refused a roles malformed", "refused a roles too_deep", "refused a users oversized",
			"refused a roles foreign_tenant", "event a roles k")
	})
}

func TestManyTenantsInChunks(t *testing.T) {
	bubble(t, Config{Connections: 3}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
		const n = 20_000
		tenants := make([]string, n)
		for i := range tenants {
			tenants[i] = fmt.Sprintf("tenant-%d", i)
		}
		s.Follow(tenants...)
		time.Sleep(2 * time.Second)
		if got := s.channels(); got != 2*n+3 {
			t.Errorf("%v channels subscribed, want %d", got, 2*n+3)
		}
		b.each(func(l *fakeLink) {
			if got := slices.Max(l.commands); got > maxCommandChannels {
				t.Errorf("the largest command has %d channels", got)
			}
			_ = l.Close()
		})
		time.Sleep(5 * time.Second)
		b.each(func(l *fakeLink) {
			if got := slices.Max(l.commands); got != maxCommandChannels {
				t.Errorf("the largest command after the reconnect has %d channels", got)
			}
		})
		for i, st := range s.Status() {
			if !st.Live || s.conns[i].roster.awaited != 0 {
				t.Errorf("connection %d: %+v", i, st)
			}
		}
		s.Unfollow(tenants...)
		synctest.Wait()
		if got := s.channels(); got != 3 {
			t.Errorf("%v channels subscribed, want 3", got)
		}
	})
}

// A link whose calls fail at every point must never hang or leak.
func TestFailingLinks(t *testing.T) {
	bubble(t, Config{Connections: 2}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
		for i := range 200 {
			s.Follow(fmt.Sprintf("t%d", i%50))
			b.each(func(l *fakeLink) {
				if i%3 == 0 {
					_ = l.Close()
				}
				l.deliver(io.EOF) // not even a message
			})
			s.Unfollow(fmt.Sprintf("t%d", (i+25)%50))
			time.Sleep(time.Duration(i) * time.Millisecond)
		}
		time.Sleep(5 * time.Second)
		for _, st := range s.Status() {
			if !st.Live {
				t.Errorf("not live: %+v", st)
			}
		}
	})
}
