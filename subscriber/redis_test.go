package subscriber_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantry/tenantry/subscriber"
	"github.com/tenantry/tenantry/subscriber/redistest"
)

func TestRedisEventsInOrderBeforeTheirProof(t *testing.T) {
	t.Parallel()
	r, h := redistest.Start(t), newTold()
	s := run(t, at(r.Addr()), h)
	s.Follow("a")
	h.awaitLine(t, "confirmed a")
	for i := range 30 {
		id := fmt.Sprint(i)
		publish(t, r, "crm:a:roles", id)
		now := time.Now()
		h.await(t, "a proof of after the event", func(lines []string) bool {
			if !h.proof.After(now) {
				return false
			}
			if !slices.Contains(lines, "event a "+id) {
				t.Errorf("proof before event %s", id)
			}
			return true
		})
	}
	s.Unfollow("a")
}

func TestRedisKilledConnection(t *testing.T) {
	t.Parallel()
	r, h := redistest.Start(t), newTold()
	run(t, at(r.Addr()), h).Follow("a", "b")
	h.awaitLine(t, "confirmed a")
	h.awaitLine(t, "confirmed b")
	for range 5 {
		h.awaitProof(t)
		h.forget()
		if err := r.Client().ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err(); err != nil {
			t.Fatal(err)
		}
		h.awaitLine(t, "confirmed a")
		h.awaitLine(t, "confirmed b")
		h.await(t, "one doubt, then confirmations, then proofs", func(lines []string) bool {
			doubt := slices.Index(lines, "doubt connection")
			return doubt >= 0 && slices.Index(lines[doubt:], "proof") >= 3
		})
		publish(t, r, "crm:b:users", "1")
		h.awaitLine(t, "event b 1")
	}
}

func TestRedisRestartAndLateStart(t *testing.T) {
	t.Parallel()
	r, h := redistest.New(t), newTold()
	s := run(t, at(r.Addr()), h)
	s.Follow("a")
	waitFor(t, "an error in the status", func() bool { return s.Status()[0].Err != nil })
	for range 2 {
		h.forget()
		r.Restart()
		h.awaitLine(t, "confirmed a")
		h.awaitProof(t)
		if st := s.Status()[0]; !st.Live || st.Channels != 3 || st.Tenants != 1 {
			t.Errorf("status %+v", st)
		}
		publish(t, r, "crm:a:roles", "1")
		h.awaitLine(t, "event a 1")
	}
	h.forget()
	r.Stop()
	h.awaitLine(t, "doubt connection")
	if s.Status()[0].Live {
		t.Error("live without a server")
	}
}

func TestRedisFrozen(t *testing.T) {
	t.Parallel()
	r, h := redistest.Start(t), newTold()
	s := run(t, at(r.Addr()), h)
	s.Follow("a")
	h.awaitProof(t)
	h.awaitLine(t, "confirmed a")
	r.Freeze()
	frozen := time.Now()
	h.await(t, "doubt", func(lines []string) bool {
		return slices.Contains(lines, "doubt pong") || slices.Contains(lines, "doubt beat")
	})
	if took := time.Since(frozen); took > 3*fast.ProofTTL {
		t.Errorf("noticed after %v", took)
	}
	waitFor(t, "a second attempt", func() bool { return strings.Contains(fmt.Sprint(s.Status()[0].Err), "timeout") })
	h.forget()
	r.Thaw()
	h.awaitLine(t, "confirmed a")
	h.awaitProof(t)
}

// Run returns at once, also while the handshake with a frozen server waits.
func TestRedisFrozenShutdown(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	r.Freeze()
	defer r.Thaw()
	cfg := at(r.Addr())
	cfg.ProofTTL = time.Minute
	s, err := subscriber.New(cfg, kinds{}, newTold(), slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	start := time.Now()
	_ = s.Run(ctx)
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("Run returned after %v", took)
	}
}

func TestRedisTenThousandTenants(t *testing.T) {
	t.Parallel()
	r, h := redistest.Start(t), newTold()
	cfg := at(r.Addr())
	cfg.Connections, cfg.ProofTTL = 2, 5*time.Second
	s := run(t, cfg, h)
	tenants := make([]string, 10_000)
	for i := range tenants {
		tenants[i] = fmt.Sprintf("tenant-%d", i)
	}
	s.Follow(tenants...)
	all := func(lines []string) bool { return len(lines) >= len(tenants) && confirmations(lines) == len(tenants) }
	h.await(t, "all confirmed", all)
	h.forget()
	if err := r.Client().ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err(); err != nil {
		t.Fatal(err)
	}
	h.await(t, "all confirmed again", all)
	publish(t, r, "crm:tenant-9999:users", "1")
	h.awaitLine(t, "event tenant-9999 1")
	s.Unfollow(tenants...)
	waitFor(t, "nothing subscribed", func() bool {
		n, err := r.Client().PubSubChannels(t.Context(), "crm:tenant-*").Result()
		return err == nil && len(n) == 0
	})
}

func confirmations(lines []string) (n int) {
	for _, l := range lines {
		if strings.HasPrefix(l, "confirmed") {
			n++
		}
	}
	return n
}

func TestRedisOverflow(t *testing.T) {
	t.Parallel()
	r, h := redistest.Start(t), newTold()
	cfg := at(r.Addr())
	cfg.QueueEvents = 10
	cfg.ProofTTL = 20 * time.Second // the blocked handler is not what is tested
	h.delay = make(chan struct{})
	run(t, cfg, h).Follow("a")
	h.awaitLine(t, "confirmed a")
	for i := range 1000 {
		publish(t, r, "crm:a:roles", fmt.Sprint(i))
	}
	close(h.delay)
	h.awaitLine(t, "doubt overflow")
	h.awaitProof(t) // the queue has room again
	publish(t, r, "crm:a:roles", "last")
	h.awaitLine(t, "event a last")
	h.mu.Lock()
	defer h.mu.Unlock()
	last := -1
	for _, line := range h.lines {
		var n int
		switch {
		case line == "doubt overflow":
			last = 1000 // anything newer may follow
		case strings.HasPrefix(line, "event a"):
			if _, err := fmt.Sscanf(line, "event a %d", &n); err == nil && n != last+1 && last != 1000 {
				t.Errorf("event %d after %d without a doubt", n, last)
			} else if err == nil {
				last = n
			}
		}
	}
}

func TestRedisHugeAndHostileMessages(t *testing.T) {
	t.Parallel()
	r, h := redistest.Start(t), newTold()
	run(t, at(r.Addr()), h).Follow("a")
	h.awaitLine(t, "confirmed a")
	for _, payload := range []string{strings.Repeat("x", 10<<20), strings.Repeat("[", 1_000_000), "\x00\xff"} {
		if err := r.Client().Publish(t.Context(), "crm:a:roles", payload).Err(); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, r, "crm:a:roles", "1")
	h.awaitLine(t, "event a 1")
	h.await(t, "the refusals, in order", func(lines []string) bool {
		lines = slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return l == "proof" })
		return slices.Equal(lines, []string{"confirmed a", "refused a oversized", "refused a too_deep", "refused a malformed", "event a 1"})
	})
}

func TestRedisTLSAndUser(t *testing.T) {
	t.Parallel()
	cert, key, pool := certificate(t)
	port := redistest.FreePort(t)
	r, h := redistest.Start(t, "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-auth-clients", "no"), newTold()
	acl := []any{"ACL", "SETUSER", "bus", "on", ">old", ">secret", "resetchannels", "&crm:*", "-@all", "+subscribe", "+unsubscribe", "+publish", "+ping"}
	if err := r.Client().Do(t.Context(), acl...).Err(); err != nil {
		t.Fatal(err)
	}
	cfg := at(net.JoinHostPort("127.0.0.1", port))
	cfg.Username, cfg.PasswordFile = "bus", filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(cfg.PasswordFile, []byte("wrong\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.TLS = &tls.Config{RootCAs: pool}
	s := run(t, cfg, h)
	s.Follow("a")
	waitFor(t, "the refusal", func() bool { return strings.Contains(fmt.Sprint(s.Status()[0].Err), "WRONGPASS") })
	if err := os.WriteFile(cfg.PasswordFile, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.awaitLine(t, "confirmed a")
	h.awaitProof(t)

	p, err := subscriber.NewPublisher(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	if n, err := p.Publish(t.Context(), "a", "roles", []byte(`{"eventId":"7","data":{}}`)); n != 1 || err != nil {
		t.Errorf("published to %d: %v", n, err)
	}
	h.awaitLine(t, "event a 7")
	if n := strings.Count(strings.Join(h.lines, "\n"), "doubt"); n != 0 {
		t.Errorf("%d doubts for a server that never let us in", n)
	}
}

// A user that may not use the beat channel does without beats.
func TestRedisBeatsForbidden(t *testing.T) {
	t.Parallel()
	for name, rules := range map[string][]any{
		"channel": {"resetchannels", "&crm:a:*", "+@all"},
		"publish": {"allchannels", "+@all", "-publish"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, h := redistest.Start(t), newTold()
			if err := r.Client().Do(t.Context(), append([]any{"ACL", "SETUSER", "bus", "on", ">secret"}, rules...)...).Err(); err != nil {
				t.Fatal(err)
			}
			cfg := at(r.Addr())
			cfg.Username, cfg.Password = "bus", "secret"
			run(t, cfg, h).Follow("a")
			h.awaitLine(t, "confirmed a")
			h.awaitProof(t)
			h.forget()
			time.AfterFunc(3*fast.ProofTTL, func() { h.add("time is up") })
			h.awaitLine(t, "time is up")
			h.await(t, "no doubt", func(lines []string) bool { return !strings.Contains(strings.Join(lines, " "), "doubt") })
		})
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	bad := subscriber.Config{Namespace: "c rm", Heartbeat: time.Second, ProofTTL: time.Second, Connections: -1, QueueBytes: 1}
	_, err := subscriber.New(bad, kinds{}, newTold(), slog.Default(), nil)
	for _, word := range []string{"namespace", "proof TTL", "connections", "queue bytes"} {
		if !strings.Contains(fmt.Sprint(err), word) {
			t.Errorf("%q is not in the error: %v", word, err)
		}
	}
	p, err := subscriber.NewPublisher(subscriber.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	if _, err := p.Publish(t.Context(), "a:b", "roles", nil); err == nil {
		t.Error("published for the tenant a:b")
	}
}
