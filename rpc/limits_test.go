package rpc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
)

// client2 is an HTTP/2 client over the pipes.
func (p *pipes) client2() (c *http.Client, stop func()) {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: protocols, DialContext: func(context.Context, string, string) (net.Conn, error) { return p.dial(), nil }}
	return &http.Client{Transport: tr}, tr.CloseIdleConnections
}

func get(t *testing.T, c *http.Client, path string) *http.Response {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// TestSlowReadersAreCut asks for a large answer and does not read it. The
// handler ends in time; over HTTP/2 the connection goes on serving others.
func TestSlowReadersAreCut(t *testing.T) {
	var ended chan time.Duration // of each bubble
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/small" {
			return
		}
		start := time.Now()
		_, err := w.Write(make([]byte, 8<<20))
		if err == nil {
			t.Error("written")
		}
		ended <- time.Since(start)
	})
	t.Run("h1", func(t *testing.T) {
		inBubble(t, handler, func(t *testing.T, p *pipes) {
			ended = make(chan time.Duration, 1)
			c := p.dial()
			defer c.Close()
			_, _ = fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			if took := <-ended; took != writeTimeout {
				t.Errorf("took %v", took)
			}
		})
	})
	t.Run("h2", func(t *testing.T) {
		inBubble(t, handler, func(t *testing.T, p *pipes) {
			ended = make(chan time.Duration, 1)
			c, stop := p.client2()
			defer stop()
			res := get(t, c, "/")
			if took := <-ended; took != writeTimeout {
				t.Errorf("took %v", took)
			}
			_ = get(t, c, "/small").Body.Close()
			if _, err := io.Copy(io.Discard, res.Body); err == nil {
				t.Error("read all of it")
			}
			_ = res.Body.Close()
		})
	})
}

// TestQuietStreamsAreNotCut has a stream that says something every ten minutes,
// then much at once.
func TestQuietStreamsAreNotCut(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range 6 {
			_, _ = io.WriteString(w, "x")
			w.(http.Flusher).Flush()
			time.Sleep(10 * time.Minute)
		}
		_, _ = w.Write(make([]byte, 1<<20))
	})
	read := func(t *testing.T, r io.Reader) {
		if n, err := io.Copy(io.Discard, r); n != 6+1<<20 || err != nil {
			t.Errorf("got %d bytes, %v", n, err)
		}
	}
	t.Run("h1", func(t *testing.T) {
		inBubble(t, handler, func(t *testing.T, p *pipes) {
			c := p.dial()
			defer c.Close()
			_, _ = fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			read(t, res.Body)
		})
	})
	t.Run("h2", func(t *testing.T) {
		inBubble(t, handler, func(t *testing.T, p *pipes) {
			c, stop := p.client2()
			defer stop()
			res := get(t, c, "/")
			read(t, res.Body)
			_ = res.Body.Close()
		})
	})
}

func TestSlowBodiesOfStreamsAreCut(t *testing.T) {
	var ended chan error
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		ended <- err
	})
	inBubble(t, handler, func(t *testing.T, p *pipes) {
		ended = make(chan error, 1)
		c, stop := p.client2()
		defer stop()
		r, w := io.Pipe()
		go func() { _, _ = w.Write([]byte("x")) }()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://x/", r)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		res, err := c.Do(req)
		if err == nil {
			_ = res.Body.Close()
		}
		if err := <-ended; err == nil || time.Since(start) != readTimeout {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
		_ = w.Close()
	})
}

// TestBodiesAreBoundedTogether fills all but a little of what there is for
// large bodies.
func TestBodiesAreBoundedTogether(t *testing.T) {
	c := &calls{next: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); connect.CodeOf(err) == connect.CodeResourceExhausted {
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})}
	const others = maxBodyBytes - 3*smallBody
	c.bodies.Store(others)
	for n, want := range map[int]int{smallBody: 200, 2 * smallBody: 200, 3 * smallBody: 200, 3*smallBody + 1: 429, 1 << 20: 429} {
		w := httptest.NewRecorder()
		c.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(strings.Repeat("x", n))))
		if w.Code != want || c.bodies.Load() != others || c.inWork.Load() != 0 {
			t.Errorf("%d bytes: got %d, %d left, %d in work", n, w.Code, c.bodies.Load(), c.inWork.Load())
		}
	}
}

func TestCallsAreBounded(t *testing.T) {
	c := &calls{next: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	for inWork, want := range map[int64]int{maxCalls - 1: 200, maxCalls: 503} {
		c.inWork.Store(inWork)
		w := httptest.NewRecorder()
		c.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		if w.Code != want || c.inWork.Load() != inWork || (want == 503) != (w.Header().Get("Retry-After") == "1") {
			t.Errorf("%d: got %d, %v", inWork, w.Code, w.Header())
		}
	}
}

// TestBusyConnectionsAreKept lets the new connection go where all are busy.
func TestBusyConnectionsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		p := &pipes{make(chan net.Conn), make(chan struct{})}
		s := NewServer(p, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }), nil)
		s.LimitConnections(1)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		ask := func() net.Conn {
			c := p.dial()
			_, _ = fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			synctest.Wait()
			return c
		}
		busy, refused := ask(), ask()
		if _, err := refused.Read(make([]byte, 1)); err == nil {
			t.Error("a second connection was admitted")
		}
		close(release)
		if res, err := http.ReadResponse(bufio.NewReader(busy), nil); err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("the first: %v, %v", res, err)
		}
		synctest.Wait()
		if res, err := http.ReadResponse(bufio.NewReader(ask()), nil); err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("after it has become idle: %v, %v", res, err)
		}
		if _, err := busy.Read(make([]byte, 1)); err == nil {
			t.Error("the idle one was kept")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestLongestWaitingGoesFirst admits one too many of some that wait.
func TestLongestWaitingGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdmission(nil)
		a.max = 3
		var all []*conn
		for range 3 {
			time.Sleep(time.Second)
			c, _ := net.Pipe()
			all = append(all, a.admit(c))
		}
		time.Sleep(time.Second)
		all[0].wait() // it has just been asked
		a.changed(all[2], http.StateActive)
		last, _ := net.Pipe()
		if a.admit(last) == nil || len(a.open) != 3 {
			t.Fatal("not admitted")
		}
		for i, c := range all {
			_, err := c.Write(nil)
			if gone := errors.Is(err, io.ErrClosedPipe); gone != (i == 1) {
				t.Errorf("%d: gone %v", i, gone)
			}
		}
	})
}

// TestOthersAreServed opens many more connections than there is room for: most
// idle after a request, some in the middle of their headers. Others are served,
// each over a connection of its own, and the server keeps within its bound.
func TestOthersAreServed(t *testing.T) {
	const room, idle, slow, others = 60, 150, 40, 30
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }), nil)
	s.LimitConnections(room)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	before := runtime.NumGoroutine()
	go func() { done <- s.Run(ctx) }()
	dial := func(text string) *bufio.Reader {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_, _ = io.WriteString(c, text)
		return bufio.NewReader(c)
	}
	ask := func(i int) {
		res, err := http.ReadResponse(dial("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), nil)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%d: %v, %v", i, res, err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
	}
	for i := range idle {
		ask(i)
	}
	for range slow {
		dial("GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
	}
	for i := range others {
		ask(i)
	}
	s.listener.mu.Lock()
	open := len(s.listener.open)
	s.listener.mu.Unlock()
	if n := runtime.NumGoroutine() - before; open > room || n > 3*room {
		t.Errorf("%d connections open, %d goroutines", open, n)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
