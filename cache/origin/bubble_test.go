package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantry/tenantry/cache"
)

// pipes is a network in memory with one listener, which can be gone.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	gone  atomic.Bool
	dials atomic.Int64
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	p.dials.Add(1)
	if p.gone.Load() {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// inBubble runs test with a reader of an origin in memory, in virtual time.
func inBubble(t *testing.T, cfg Config, h http.HandlerFunc, test func(*testing.T, *Reader, *pipes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		network := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		server := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
		go func() { _ = server.Serve(network) }()
		cfg.URL = "http://origin"
		r, err := New(cfg, []Kind{
			{Name: "role", One: "/{tenant}/roles/{key}", List: "/{tenant}/roles", Document: whole{}},
			{Name: "user", One: "/{tenant}/users/{key}", Document: whole{}},
			{Name: "history", One: "/{tenant}/history/{key}", Document: whole{}},
		}, discardLogger(), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.transport.DialContext = network.dial
		test(t, r, network)
		r.Close()
		_ = server.Close()
		synctest.Wait()
		if r.gate.free != r.cfg.Concurrency || r.gate.waiting != 0 || len(r.gate.tenants) != 0 || r.guard.host.strangers != 0 {
			t.Errorf("not all was given back: %d free, %d wait, %d strangers", r.gate.free, r.gate.waiting, r.guard.host.strangers)
		}
	})
}

var (
	roles   = &cache.Kind{ID: 0, Name: "role", Class: cache.Critical, Listed: true}
	users   = &cache.Kind{ID: 1, Name: "user", Class: cache.Reference}
	history = &cache.Kind{ID: 2, Name: "history", Class: cache.OnDemand}
)

func reply200(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, "{}")
}

// p99 of reads of one tenant, eight at once, each after the other.
func p99(t *testing.T, r *Reader, tenant string) time.Duration {
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 50 {
				began := time.Now()
				if _, err := r.One(t.Context(), tenant, users, fmt.Sprint(i), ""); err != nil {
					t.Error(err)
				}
				mu.Lock()
				took = append(took, time.Since(began))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(took)
	return took[len(took)*99/100]
}

// A tenant whose paths hang, read by as many as may wait, does not raise
// another's p99, and neither do as many tenants as leave a slot.
func TestHangingTenantsDoNotSlowOthers(t *testing.T) {
	inBubble(t, Config{}, func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("X-Tenant-Id") != "well" {
			<-req.Context().Done()
			return
		}
		time.Sleep(50 * time.Millisecond)
		reply200(w)
	}, func(t *testing.T, r *Reader, _ *pipes) {
		alone := p99(t, r, "well")
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range 300 {
			wg.Go(func() {
				for ctx.Err() == nil {
					_, _ = r.One(ctx, fmt.Sprint("hangs", i%6), []*cache.Kind{roles, users}[i%2], fmt.Sprint(i), "")
					time.Sleep(50 * time.Millisecond)
				}
			})
		}
		time.Sleep(100 * time.Millisecond)
		beside := p99(t, r, "well")
		cancel()
		wg.Wait()
		t.Logf("p99 alone %v, beside hanging tenants %v", alone, beside)
		if beside > alone*3/2 {
			t.Errorf("p99 %v, alone %v", beside, alone)
		}
	})
}

// recovered returns how long reads fail after now.
func recovered(t *testing.T, r *Reader, tenants int) time.Duration {
	began, last := time.Now(), time.Duration(0)
	for time.Since(began) < 3*time.Second {
		for i := range tenants {
			if _, err := r.One(t.Context(), fmt.Sprint(i), roles, "x", ""); err != nil {
				last = time.Since(began)
			}
		}
		time.Sleep(25 * time.Millisecond)
	}
	return last
}

// An origin that is gone, or frozen, costs nothing, and is noticed within 2 s
// of its recovery.
func TestDeadOrigin(t *testing.T) {
	for name, frozen := range map[string]bool{"gone": false, "frozen": true} {
		t.Run(name, func(t *testing.T) {
			var hangs atomic.Bool
			inBubble(t, Config{}, func(w http.ResponseWriter, req *http.Request) {
				if hangs.Load() {
					<-req.Context().Done()
					return
				}
				reply200(w)
			}, func(t *testing.T, r *Reader, network *pipes) {
				const tenants = 200
				hangs.Store(frozen)
				network.gone.Store(!frozen)
				var wg sync.WaitGroup
				var reads, slow atomic.Int64
				for i := range tenants {
					wg.Go(func() {
						for range 50 {
							began := time.Now()
							_, err := r.One(t.Context(), fmt.Sprint(i), roles, "x", "")
							if err == nil {
								t.Error("an answer")
							}
							if reads.Add(1); time.Since(began) > 100*time.Millisecond {
								slow.Add(1)
							}
							time.Sleep(200 * time.Millisecond)
						}
					})
				}
				wg.Wait()
				t.Logf("%d of %d reads took time, %d dials", slow.Load(), reads.Load(), network.dials.Load())
				// The first read of each is in flight or in the queue before anybody knows.
				if slow.Load() > tenants+maxSuspects+50 || network.dials.Load() > 1000 {
					t.Errorf("a dead origin cost the time of %d of %d reads, and %d dials", slow.Load(), reads.Load(), network.dials.Load())
				}
				hangs.Store(false)
				network.gone.Store(false)
				took := recovered(t, r, 10)
				if t.Logf("recovered after %v", took); took > 2*time.Second {
					t.Errorf("recovered after %v", took)
				}
			})
		})
	}
}

// One tenant's hanging paths open no other tenant's, nor its own other family.
func TestHangingFamilyOpensAlone(t *testing.T) {
	inBubble(t, Config{}, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/a/roles/x" {
			<-req.Context().Done()
			return
		}
		reply200(w)
	}, func(t *testing.T, r *Reader, _ *pipes) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { _, _ = r.One(t.Context(), "a", roles, "x", "") })
		}
		wg.Wait()
		began := time.Now()
		_, err := r.One(t.Context(), "a", roles, "x", "")
		f, ok := errors.AsType[*cache.FaultError](err)
		if !ok || f.Reason != reasonOpen || f.RetryAfter <= 0 || f.RetryAfter > familyDelay*12/10 || time.Since(began) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if _, err := r.One(t.Context(), "b", roles, "x", ""); err != nil {
			t.Error(err)
		}
		if _, err := r.One(t.Context(), "a", users, "x", ""); err != nil {
			t.Error(err)
		}
		if _, err := r.List(t.Context(), "a", roles, "", func([]cache.Document) error { return nil }); outcome(err) != reasonMalformed {
			t.Errorf("the list path is a family of its own: %v", err)
		}
	})
}

func TestRetries(t *testing.T) {
	tests := map[string]struct {
		cfg    Config
		script []int // a status; 0: the connection ends without an answer; -1: in the body
		after  string
		want   string
		asked  int
	}{
		"503, then well":        {script: []int{503, 502, 200}, want: "ok", asked: 3},
		"cut, then well":        {script: []int{0, -1, 200}, want: "ok", asked: 3},
		"504 for ever":          {script: []int{504, 504, 504, 504}, want: reasonStatus, asked: 3},
		"no retries":            {cfg: Config{Retries: -1}, script: []int{503, 200}, want: reasonStatus, asked: 1},
		"four retries":          {cfg: Config{Retries: 4}, script: []int{503, 503, 503, 503, 200}, want: "ok", asked: 5},
		"no time for a second":  {cfg: Config{Timeout: 300 * time.Millisecond}, script: []int{503, 200}, want: reasonStatus, asked: 1},
		"500":                   {script: []int{500, 200}, want: reasonStatus, asked: 1},
		"401":                   {script: []int{401, 200}, want: reasonStatus, asked: 1},
		"429":                   {script: []int{429, 200}, want: reasonThrottled, asked: 1},
		"503 with a pause":      {script: []int{503, 200}, after: "1", want: reasonStatus, asked: 1},
		"503 with a pause of 0": {script: []int{503, 200}, after: "0", want: "ok", asked: 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			asked := 0
			inBubble(t, tt.cfg, func(w http.ResponseWriter, _ *http.Request) {
				status := tt.script[asked]
				asked++
				if tt.after != "" {
					w.Header().Set("Retry-After", tt.after)
				}
				switch status {
				case -1:
					w.Header().Set("Content-Length", "10")
					_, _ = io.WriteString(w, "{")
					panic(http.ErrAbortHandler)
				case 0:
					panic(http.ErrAbortHandler)
				case 200:
					reply200(w)
				default:
					w.WriteHeader(status)
				}
			}, func(t *testing.T, r *Reader, _ *pipes) {
				began := time.Now()
				_, err := r.One(t.Context(), "a", roles, "x", "")
				if outcome(err) != tt.want || asked != tt.asked || time.Since(began) > time.Second {
					t.Errorf("%v after %v, asked %d times", err, time.Since(began), asked)
				}
			})
		})
	}
}

// However badly it goes, retries are a tenth of the reads and a few.
func TestRetryBudget(t *testing.T) {
	var asked atomic.Int64
	inBubble(t, Config{}, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusBadGateway)
	}, func(t *testing.T, r *Reader, _ *pipes) {
		const reads = 1000
		for i := range reads {
			_, _ = r.One(t.Context(), fmt.Sprint(i), roles, "x", "")
		}
		if n := asked.Load(); n < reads || n > reads*11/10+retryBurst {
			t.Errorf("%d requests for %d reads", n, reads)
		}
	})
}

// The time-out of a read bounds its retries, and who gives up is gone at once,
// also between two tries.
func TestRetriesEndWithTheRead(t *testing.T) {
	inBubble(t, Config{Timeout: 500 * time.Millisecond, Retries: 10}, func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(60 * time.Millisecond)
		w.WriteHeader(http.StatusBadGateway)
	}, func(t *testing.T, r *Reader, _ *pipes) {
		began := time.Now()
		if _, err := r.One(t.Context(), "a", roles, "x", ""); outcome(err) != reasonStatus || time.Since(began) > 500*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(70*time.Millisecond, cancel)
		began = time.Now()
		if _, err := r.One(ctx, "a", users, "x", ""); err == nil || time.Since(began) != 70*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestRetryAfterOpensTheFamily(t *testing.T) {
	for _, status := range []int{429, 503} {
		var asked atomic.Int64
		inBubble(t, Config{}, func(w http.ResponseWriter, req *http.Request) {
			if asked.Add(1) == 1 {
				w.Header().Set("Retry-After", "7200")
				w.WriteHeader(status)
				return
			}
			reply200(w)
		}, func(t *testing.T, r *Reader, _ *pipes) {
			_, _ = r.One(t.Context(), "a", roles, "x", "")
			time.Sleep(59 * time.Second)
			_, err := r.One(t.Context(), "a", roles, "y", "")
			if f, ok := errors.AsType[*cache.FaultError](err); !ok || f.Reason != reasonOpen || f.RetryAfter != time.Second || asked.Load() != 1 {
				t.Errorf("%v, asked %d times", err, asked.Load())
			}
			if _, err := r.One(t.Context(), "b", roles, "y", ""); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second)
			if _, err := r.One(t.Context(), "a", roles, "y", ""); err != nil {
				t.Error(err)
			}
		})
	}
}
