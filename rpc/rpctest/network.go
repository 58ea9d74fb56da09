package rpctest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// Network carries requests to handlers in memory, by the host of their URL. It is
// an [http.RoundTripper] that works in a testing/synctest bubble. The zero value
// has no hosts: every connection is refused.
type Network struct {
	mu    sync.Mutex
	hosts map[string]*Host
}

// Serve has a host answer with a handler.
func (n *Network) Serve(host string, h http.Handler) *Host {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.hosts == nil {
		n.hosts = make(map[string]*Host)
	}
	to := &Host{handler: h}
	to.set(hostState{})
	n.hosts[host] = to
	return to
}

// RoundTrip sends a request to its host.
func (n *Network) RoundTrip(req *http.Request) (*http.Response, error) {
	n.mu.Lock()
	to := n.hosts[req.URL.Host]
	n.mu.Unlock()
	if to == nil {
		closeBody(req)
		return nil, errRefused
	}
	return to.roundTrip(req)
}

// Host is a handler in a [Network], and what is wrong with it.
type Host struct {
	handler http.Handler

	mu       sync.Mutex
	state    hostState
	requests []string
}

type hostState struct {
	refuses, frozen bool
	delay           time.Duration
	changed         chan struct{}
}

var (
	errRefused = &net.OpError{Op: "dial", Net: "memory", Err: syscall.ECONNREFUSED}
	errReset   = &net.OpError{Op: "read", Net: "memory", Err: syscall.ECONNRESET}
)

// Work makes the host answer, each request after a delay.
func (h *Host) Work(delay time.Duration) { h.set(hostState{delay: delay}) }

// Freeze makes the host take requests and not answer them, until it works again.
func (h *Host) Freeze() { h.set(hostState{frozen: true}) }

// Kill breaks the host's connections, and has it refuse others until it works again.
func (h *Host) Kill() { h.set(hostState{refuses: true}) }

func (h *Host) set(s hostState) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state.changed != nil {
		close(h.state.changed)
	}
	s.changed = make(chan struct{})
	h.state = s
}

func (h *Host) now() hostState {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state
}

// Requests returns the paths of the requests so far, in order, and forgets them.
func (h *Host) Requests() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	requests := h.requests
	h.requests = nil
	return requests
}

// pass returns when the host lets something through.
func (h *Host) pass(ctx context.Context) error {
	for {
		s := h.now()
		switch {
		case s.refuses:
			return errRefused
		case !s.frozen:
			return nil
		}
		select {
		case <-s.changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (h *Host) roundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if h.now().refuses {
		closeBody(req)
		return nil, errRefused
	}
	h.mu.Lock()
	h.requests = append(h.requests, req.URL.Path)
	h.mu.Unlock()
	if err := errors.Join(h.sleep(ctx), h.pass(ctx)); err != nil {
		closeBody(req)
		return nil, err
	}
	a := h.begin(req)
	for {
		s := h.now()
		select {
		case <-a.began:
			if err := h.pass(ctx); err != nil {
				a.cancel()
				return nil, err
			}
			return a.response(req), nil
		case <-s.changed:
			if h.now().refuses {
				a.cancel()
				return nil, errReset
			}
		case <-ctx.Done():
			a.cancel()
			return nil, ctx.Err()
		}
	}
}

func (h *Host) sleep(ctx context.Context) error {
	d := h.now().delay
	if d == 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// begin calls the handler. Nothing of the caller's context reaches it but its end.
func (h *Host) begin(req *http.Request) *answer {
	ctx, cancel := context.WithCancel(context.WithoutCancel(req.Context()))
	stop := context.AfterFunc(req.Context(), cancel)
	r := req.Clone(ctx)
	r.RequestURI, r.RemoteAddr = req.URL.RequestURI(), "192.0.2.1:1234"
	if r.Host == "" {
		r.Host = req.URL.Host
	}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	a := &answer{header: make(http.Header), began: make(chan struct{}), cancel: cancel}
	a.body, a.write = io.Pipe()
	context.AfterFunc(ctx, func() { _ = a.write.CloseWithError(context.Canceled) })
	go func() {
		defer func() {
			recovered := recover()
			a.WriteHeader(http.StatusOK)
			if recovered != nil {
				_ = a.write.CloseWithError(io.ErrUnexpectedEOF)
			}
			_ = a.write.Close()
			closeBody(req)
			stop()
			cancel()
		}()
		h.handler.ServeHTTP(a, r)
	}()
	return a
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// answer is a response on its way.
type answer struct {
	header http.Header
	status int
	sent   http.Header // as they were when the answer began
	began  chan struct{}
	body   *io.PipeReader
	write  *io.PipeWriter
	cancel context.CancelFunc
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status, a.sent = status, a.header.Clone()
		close(a.began)
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.write.Write(b)
}

// Flush implements [http.Flusher].
func (a *answer) Flush() { a.WriteHeader(http.StatusOK) }

func (a *answer) response(req *http.Request) *http.Response {
	return &http.Response{
		Status: http.StatusText(a.status), StatusCode: a.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.sent, Body: &answerBody{a.body, a.cancel}, ContentLength: -1, Request: req,
	}
}

// answerBody ends the call when it is closed.
type answerBody struct {
	*io.PipeReader
	cancel context.CancelFunc
}

func (b *answerBody) Close() error {
	defer b.cancel()
	return b.PipeReader.Close()
}
