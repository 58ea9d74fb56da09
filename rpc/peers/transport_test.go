package peers

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tenantry/tenantry/shard"
)

// onLoopback is a node on loopback.
func onLoopback(t *testing.T, handle http.HandlerFunc) shard.Peer {
	s := httptest.NewServer(handle)
	t.Cleanup(s.Close)
	return shard.Peer{ID: s.URL, Name: "o1", URL: s.URL, Token: "token"}
}

func TestConnectionsThatWereClosedWhileIdle(t *testing.T) {
	o := gather(t, 1, func(c *Config) { c.Transport = nil })
	defer o.stop()
	node := o.nodes[0]
	var mu sync.Mutex
	used, closed := make(map[string]bool), 0
	peer := onLoopback(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		again := used[r.RemoteAddr]
		if used[r.RemoteAddr] = true; again {
			closed++
		}
		mu.Unlock()
		if again {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_ = c.Close()
			return
		}
		node.ServeHTTP(w, r)
	})
	enough := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return closed >= 5
	}
	for !enough() {
		if got := said(o.Get(t.Context(), []shard.Peer{peer}, read())); got != "o1" {
			t.Fatal(got)
		}
	}
	for _, c := range node.taken() {
		if _, sent := c.header["Idempotency-Key"]; sent {
			t.Error("the mark goes out")
		}
	}
}

// A refused connection costs no time-out, and nothing is left in the end.
func TestRealConnections(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	o := gather(t, 1, func(c *Config) { c.Transport = nil })
	s := httptest.NewServer(o.nodes[0])
	defer s.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + l.Addr().String()
	_ = l.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, as far as the kernel does, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	to := func(id, url string) shard.Peer { return shard.Peer{ID: id, Name: id, URL: url} }
	good := to("good", s.URL)
	start := time.Now()
	if got := said(o.Get(t.Context(), []shard.Peer{to("closed", closed), good}, read())); got != "o1" {
		t.Error(got)
	}
	if took := time.Since(start); took >= recallTimeout {
		t.Errorf("a refused connection took %v", took)
	}
	var reads sync.WaitGroup
	for range 20 {
		reads.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if got := said(o.Get(ctx, []shard.Peer{to("silent", "http://"+silent.Addr().String()), good}, read())); got != "o1" {
				t.Error(got)
			}
		})
	}
	reads.Wait()
	o.stop()
	if got := said(o.Get(t.Context(), []shard.Peer{good}, read())); got != ErrNoOwner.Error() {
		t.Error(got)
	}
}
