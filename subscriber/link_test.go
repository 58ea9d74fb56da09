package subscriber

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tenantry/tenantry/subscriber/redistest"
)

func testLink(t *testing.T, r *redistest.Server) link {
	t.Helper()
	cfg, err := Config{Addresses: []string{r.Addr()}, ProofTTL: time.Minute}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	l, err := cfg.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// After its connection a link has no second life: go-redis may try to
// reconnect, and cannot.
func TestLinkNeverReconnects(t *testing.T) {
	r := redistest.Start(t)
	l := testLink(t, r)
	if err := l.Subscribe(t.Context(), "crm:a:roles"); err != nil {
		t.Fatal(err)
	}
	if got, err := l.Receive(t.Context()); err != nil || got.(*redis.Subscription).Channel != "crm:a:roles" {
		t.Fatalf("received %v, %v", got, err)
	}
	if err := r.Client().ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err(); err != nil {
		t.Fatal(err)
	}
	if got, err := l.Receive(t.Context()); err == nil {
		t.Errorf("received %v on a killed connection", got)
	}
	for range 3 {
		got, err := l.Receive(t.Context())
		if !errors.Is(err, errOneLife) {
			t.Errorf("received %v, %v, want that the life has ended", got, err)
		}
		if err := l.Ping(t.Context(), "x"); !errors.Is(err, errOneLife) {
			t.Errorf("PING: %v", err)
		}
	}
	if n := r.Client().PubSubNumPat(t.Context()).Val(); n != 0 {
		t.Errorf("%d patterns", n)
	}
	if n := r.Client().PubSubChannels(t.Context(), "*").Val(); len(n) != 0 {
		t.Errorf("subscribed anew: %v", n)
	}
}

// Close ends a write that the server does not read, though it holds go-redis's
// lock.
func TestLinkCloseEndsABlockedWrite(t *testing.T) {
	r := redistest.Start(t)
	l := testLink(t, r)
	if err := l.Ping(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	r.Freeze()
	defer r.Thaw()
	channels := make([]string, 20_000)
	for i := range channels {
		channels[i] = fmt.Sprint(i, strings.Repeat("x", 1000))
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Subscribe(context.Background(), channels...) }()
	select {
	case err := <-ended:
		t.Fatalf("20 MB went into a frozen server: %v", err)
	case <-time.After(500 * time.Millisecond):
	}
	start := time.Now()
	_ = l.Close()
	if err := <-ended; err == nil {
		t.Error("the blocked write succeeded")
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("Close took %v", took)
	}
}

// A server says whether it is one of a cluster.
func TestLinkKnowsACluster(t *testing.T) {
	for want, args := range map[bool][]string{false: nil, true: {"--cluster-enabled", "yes"}} {
		l := testLink(t, redistest.Start(t, args...))
		if err := l.Ping(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		if got := l.Relayed(); got != want {
			t.Errorf("%v: %v", args, got)
		}
	}
}
