package rpc

import (
	"io"
	"net/http"
	"time"
)

// boundBodies gives each request body the time that [Server] allows it, so that
// a caller who sends one byte a minute holds nothing for long. A read timeout
// of the server would end streams, whose bodies are read long before.
func boundBodies(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody && r.ProtoMajor == 1 {
			r.Body = &timedBody{body: r.Body, writer: w}
		}
		next.ServeHTTP(w, r)
	})
}

// timedBody sets a deadline at its first read, and lifts it at the end.
type timedBody struct {
	body   io.ReadCloser
	writer http.ResponseWriter
	timed  bool
}

func (b *timedBody) Read(p []byte) (int, error) {
	if !b.timed {
		b.timed = true
		b.deadline(time.Now().Add(readTimeout))
	}
	n, err := b.body.Read(p)
	if err == io.EOF {
		b.deadline(time.Time{})
	}
	return n, err
}

func (b *timedBody) Close() error { return b.body.Close() }

func (b *timedBody) deadline(t time.Time) {
	_ = http.NewResponseController(b.writer).SetReadDeadline(t) // best effort
}
