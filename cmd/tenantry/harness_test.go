package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tenantry/tenantry/subscriber/redistest"
)

// TestMain has no SIGTERM end the tests: one that ends a command line may be
// delivered late, when nobody else listens any more.
func TestMain(m *testing.M) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGTERM)
	goleak.VerifyTestMain(m)
}

// result is what a command line did.
type result struct {
	status    int
	out, errs string
}

// tenantry runs a command line to its end.
func tenantry(in string, args ...string) result {
	var out, errs lockedBuffer
	status := run(args, strings.NewReader(in), &out, &errs)
	return result{status, out.String(), errs.String()}
}

// expect reports a status other than the wanted one, and texts that the outputs
// lack.
func (r result) expect(t *testing.T, status int, out, errs string) {
	t.Helper()
	if r.status != status || !strings.Contains(r.out, out) || !strings.Contains(r.errs, errs) {
		t.Errorf("got status %d\n%s\n%s\nwant %d, %q and %q", r.status, r.out, r.errs, status, out, errs)
	}
}

// background is a command line that runs until a SIGTERM.
type background struct {
	out, errs lockedBuffer
	ended     chan int
}

// start starts a command line. The test ends it, if it has not ended by itself,
// and wants status 0.
func start(t *testing.T, args ...string) *background {
	t.Helper()
	b := &background{ended: make(chan int, 1)}
	go func() { b.ended <- run(args, strings.NewReader(""), &b.out, &b.errs) }()
	t.Cleanup(func() {
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if status := <-b.ended; status != 0 {
			t.Errorf("%s ended with status %d:\n%s", args[0], status, b.errs.String())
		}
	})
	return b
}

// until waits for a condition, at most 20 s.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatal("waited in vain: " + what)
		}
	}
}

// answers says whether a GET gets status 200.
func answers(t *testing.T, url string) bool {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return false
	}
	return res.Body.Close() == nil && res.StatusCode == http.StatusOK
}

func freeAddress(t *testing.T) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", redistest.FreePort(t))
}

// file writes a file for the test.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// stack is a node that serves, with its Redis and sample Wrapper.
type stack struct{ server, redis, config string }

func newStack(t *testing.T) stack {
	t.Helper()
	redis := redistest.Start(t).Addr()
	origin, rpc, admin := freeAddress(t), freeAddress(t), freeAddress(t)
	config := file(t, "tenantry.yaml", fmt.Sprintf(`
node: {name: node-1}
listen: {rpc: %q, admin: %q, gossip: "127.0.0.1:0"}
redis: {addresses: [%q], password: ""}
origin: {url: "http://%s"}
tenants: {preload: ["123"]}
`, rpc, admin, redis, origin))
	start(t, "sample-wrapper", "--listen", origin, "--redis", redis, "--latency", "0s", "--tenants", "3")
	until(t, "the Wrapper serves", func() bool { return answers(t, "http://"+origin+"/") })
	start(t, "serve", "--config", config)
	until(t, "the node is ready", func() bool { return answers(t, "http://"+admin+"/readyz") })
	return stack{"http://" + rpc, redis, config}
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
