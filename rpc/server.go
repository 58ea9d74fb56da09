package rpc

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Limits of a connection.
const (
	readHeaderTimeout = 10 * time.Second
	// readTimeout bounds the time for a whole request body.
	readTimeout = 30 * time.Second
	idleTimeout = 2 * time.Minute
	// maxHeaderBytes leaves room for a Connect GET of some hundred items.
	maxHeaderBytes = 64 << 10
	// maxStreams bounds the calls in work on one HTTP/2 connection.
	maxStreams = 1000
	// pingAfter is how long an HTTP/2 connection may be silent before the server
	// asks whether the other side still lives.
	pingAfter = 30 * time.Second
	// stopTimeout is how long calls in work may take when the server stops.
	stopTimeout = 10 * time.Second
)

// Server serves a handler on one listener, over HTTP/1.1 and, for callers with
// prior knowledge, unencrypted HTTP/2.
//
// It bounds its connections ([DefaultConnections]), the calls in work, the time
// that each may take to send its request and to take its answer, and the bytes
// of requests in work. Streams last as long as both sides like.
type Server struct {
	listener *admission
	http     *http.Server
	stopped  chan struct{} // closed when the server begins to stop
}

// NewServer returns a server that has not begun: see [Server.Run]. Logger gets
// what net/http complains about; nil: discarded.
func NewServer(l net.Listener, h http.Handler, logger *slog.Logger) *Server {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s := &Server{listener: newAdmission(l), stopped: make(chan struct{})}
	s.http = &http.Server{
		Handler: &calls{next: h}, Protocols: protocols, ConnState: s.listener.changed, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: maxStreams, SendPingTimeout: pingAfter},
		ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.Background(), stopKey{}, s.stopped)
		},
	}
	return s
}

// LimitConnections sets how many connections the server holds, at least 1. It
// is called before Run. Default: [DefaultConnections].
func (s *Server) LimitConnections(n int) { s.listener.max = max(n, 1) }

// Run serves until ctx ends, then stops: it accepts nothing more, tells streams
// to end, waits for calls in work for up to 10 s, and cuts what is left. It
// returns nil then, and an error if the listener failed.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 1)
	go func() {
		failed <- s.http.Serve(s.listener)
		cancel()
	}()
	<-ctx.Done()
	s.stop()
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (s *Server) stop() {
	close(s.stopped)
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close() // what Shutdown waited for is cut
	}
}

type stopKey struct{}

// stopping returns a channel that is closed when the server of a call begins to
// stop: streams end then. It is nil outside a [Server].
func stopping(ctx context.Context) <-chan struct{} {
	c, _ := ctx.Value(stopKey{}).(chan struct{})
	return c
}
