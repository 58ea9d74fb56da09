package rpc

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is an in-memory listener.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
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

func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	return client
}

// startInMemory serves a handler over pipes; it is for bubbles.
func startInMemory(t *testing.T, h http.Handler) (p *pipes, stop func()) {
	p = &pipes{make(chan net.Conn), make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- NewServer(p, h, nil).Run(ctx) }()
	return p, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// inBubble calls f while a handler is served in the bubble's time.
func inBubble(t *testing.T, h http.Handler, f func(t *testing.T, p *pipes)) {
	synctest.Test(t, func(t *testing.T) {
		p, stop := startInMemory(t, h)
		defer stop()
		f(t, p)
	})
}

func TestSlowBodiesAreCut(t *testing.T) {
	read := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			w.WriteHeader(http.StatusRequestTimeout)
		}
	})
	inBubble(t, read, func(t *testing.T, p *pipes) {
		c := p.dial()
		defer c.Close()
		start := time.Now()
		_, _ = fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx")
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || res.StatusCode != http.StatusRequestTimeout {
			t.Fatalf("got %v, %v", res, err)
		}
		if took := time.Since(start); took != readTimeout {
			t.Errorf("took %v", took)
		}
	})
}

// TestLongCallsAreNotCut shows that the time for the body ends with the body.
func TestLongCallsAreNotCut(t *testing.T) {
	long := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		select {
		case <-time.After(10 * readTimeout):
		case <-r.Context().Done():
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	inBubble(t, long, func(t *testing.T, p *pipes) {
		c := p.dial()
		defer c.Close()
		_, _ = fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
		if res, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("got %v, %v", res, err)
		}
	})
}

func TestStopCutsWhatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := make(chan struct{})
		stuck := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(begun)
			<-r.Context().Done()
		})
		p, stop := startInMemory(t, stuck)
		c := p.dial()
		defer c.Close()
		_, _ = fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		<-begun
		start := time.Now()
		stop()
		if took := time.Since(start); took < stopTimeout || took > stopTimeout+time.Second {
			t.Errorf("took %v", took)
		}
	})
}
