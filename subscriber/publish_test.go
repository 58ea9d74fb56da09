package subscriber_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tenantry/tenantry/subscriber"
	"github.com/tenantry/tenantry/subscriber/redistest"
)

func newPublisher(t testing.TB, cfg subscriber.Config) *subscriber.Publisher {
	t.Helper()
	p, err := subscriber.NewPublisher(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// counted is the number of lines that begin with a prefix.
func (h *told) counted(prefix string) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.lines {
		if strings.HasPrefix(l, prefix) {
			n++
		}
	}
	return n
}

// All announcements end well, in spite of restarts. What a node heard on a
// connection that lived on has no gap.
func TestRedisAnnouncedThroughRestarts(t *testing.T) {
	t.Parallel()
	r, h := redistest.Start(t), newTold()
	s := run(t, at(r.Addr()), h)
	s.Follow("a", "b")
	h.awaitLine(t, "confirmed a")
	h.awaitLine(t, "confirmed b")
	p := newPublisher(t, at(r.Addr()))
	var wg sync.WaitGroup
	var announced atomic.Int64
	for _, tenant := range []string{"a", "b", "a", "b"} {
		wg.Go(func() {
			for range 300 {
				if _, err := p.Announce(t.Context(), tenant, "roles", subscriber.Announcement{}); err != nil {
					t.Error(err)
				}
				announced.Add(1)
			}
		})
	}
	for i := range 3 {
		waitFor(t, "events", func() bool { return announced.Load() >= int64(100+200*i) })
		r.Restart()
	}
	wg.Wait()
	h.awaitProof(t)
	if n := h.counted("gap"); n != 0 {
		t.Errorf("%d gaps", n)
	}
}

// A connection that is cut when the events have been written, before they are
// acknowledged: they are sent again, arrive twice, and nobody doubts.
func TestRedisCutBeforeTheAcknowledgement(t *testing.T) {
	t.Parallel()
	r, h := redistest.Start(t), newTold()
	run(t, at(r.Addr()), h).Follow("a")
	h.awaitLine(t, "confirmed a")
	h.awaitProof(t)
	deaf := newDeafProxy(t, r.Addr())
	p := newPublisher(t, at(deaf.addr))
	const events = 50
	for range 5 {
		deaf.cut.Store(true)
		var wg sync.WaitGroup
		for range events {
			wg.Go(func() {
				if _, err := p.Announce(t.Context(), "a", "roles", subscriber.Announcement{ID: "x"}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	h.awaitProof(t)
	if n := h.counted("event a x"); n <= 5*events {
		t.Errorf("%d events arrived, want more than %d: none was repeated", n, 5*events)
	}
	if gaps, doubts := h.counted("gap"), h.counted("doubt"); gaps+doubts != 0 {
		t.Errorf("%d gaps, %d doubts", gaps, doubts)
	}
}

// deafProxy passes on to a server; while cut is set, the next connection that
// is answered is cut instead.
type deafProxy struct {
	addr string
	cut  atomic.Bool
}

func newDeafProxy(t *testing.T, server string) *deafProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &deafProxy{addr: l.Addr().String()}
	var wg sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { d.pass(client, server) })
		}
	})
	return d
}

func (d *deafProxy) pass(client net.Conn, server string) {
	defer client.Close()
	upstream, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer upstream.Close()
	wg.Go(func() {
		defer upstream.Close()
		_, _ = io.Copy(upstream, client)
	})
	buffer := make([]byte, 64<<10)
	for {
		n, err := upstream.Read(buffer)
		if err != nil || d.cut.CompareAndSwap(true, false) {
			_ = client.Close()
			return
		}
		_, _ = client.Write(buffer[:n])
	}
}

func TestRedisPublisherForbidden(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	acl := []any{"ACL", "SETUSER", "wrapper", "on", ">secret", "resetchannels", "&crm:a:*", "-@all", "+publish"}
	if err := r.Client().Do(t.Context(), acl...).Err(); err != nil {
		t.Fatal(err)
	}
	cfg := at(r.Addr())
	cfg.Username, cfg.Password = "wrapper", "secret"
	p := newPublisher(t, cfg)
	if n, err := p.Announce(t.Context(), "a", "roles", subscriber.Announcement{}); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := p.Announce(t.Context(), "b", "roles", subscriber.Announcement{}); !redis.IsPermissionError(err) {
		t.Error(err)
	}
}

func TestRedisPublisherUnreachable(t *testing.T) {
	t.Parallel()
	p := newPublisher(t, at("127.0.0.1:"+redistest.FreePort(t)))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := p.Publish(ctx, "a", "roles", []byte("{}"))
	if text := fmt.Sprint(err); !strings.Contains(text, "deadline exceeded") || !strings.Contains(text, "connection refused") {
		t.Errorf("want the end of the context and its reason: %v", err)
	}
}

// Close does not wait for a frozen server.
func TestRedisPublisherClosedWhileFrozen(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	cfg := at(r.Addr())
	cfg.ProofTTL = time.Minute
	p := newPublisher(t, cfg)
	if _, err := p.Publish(t.Context(), "a", "roles", nil); err != nil {
		t.Fatal(err)
	}
	r.Freeze()
	defer r.Thaw()
	ended := make(chan error, 1)
	go func() { _, err := p.Publish(t.Context(), "a", "roles", nil); ended <- err }()
	select {
	case err := <-ended:
		t.Errorf("a frozen server acknowledged: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	began := time.Now()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err == nil || time.Since(began) > 5*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

// BenchmarkPublish compares one caller, 64 callers, and pipelines of 64 of a
// bare client; each operation is an event.
func BenchmarkPublish(b *testing.B) {
	r := redistest.Start(b)
	announcement := subscriber.Announcement{
		ID: "change-123", Type: "credit-config-changed", Version: new(uint64(7)),
		Data: []byte(`{"operationCode":"crm.leads.create","changedFields":["credit_cost"],"newValue":3.0,"oldValue":2.5}`),
	}
	message := []byte(`{"eventId":"change-123","eventType":"credit-config-changed","tenantId":"123","data":` + string(announcement.Data.([]byte)) + `}`)
	p := newPublisher(b, at(r.Addr()))
	b.Run("one caller", func(b *testing.B) {
		for b.Loop() {
			if _, err := p.Announce(b.Context(), "123", "credit-configs", announcement); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("64 callers", func(b *testing.B) {
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() {
				for range b.N/64 + min(1, max(0, b.N%64-i)) {
					if _, err := p.Announce(b.Context(), "123", "credit-configs", announcement); err != nil {
						b.Error(err)
					}
				}
			})
		}
		wg.Wait()
	})
	client := redis.NewClient(&redis.Options{Addr: r.Addr(), Protocol: 2})
	b.Cleanup(func() { _ = client.Close() })
	b.Run("bare, one caller", func(b *testing.B) {
		for b.Loop() {
			if err := client.Publish(b.Context(), "crm:123:credit-configs", message).Err(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("bare pipelines of 64", func(b *testing.B) {
		for n := b.N; n > 0; n -= 64 {
			pipe := client.Pipeline()
			for range min(n, 64) {
				pipe.Publish(b.Context(), "crm:123:credit-configs", message)
			}
			if _, err := pipe.Exec(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
