package rpc

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
)

const (
	// maxCalls bounds the calls in work on a server, over all connections.
	maxCalls = 50_000
	// maxBodyBytes bounds the request bodies in work that are larger than
	// smallBody, together. A caller who sends most of a large one and stops would
	// hold that for readTimeout.
	maxBodyBytes = 128 << 20
	smallBody    = 16 << 10
)

var errBodies = connect.NewError(connect.CodeResourceExhausted, errors.New("limit met: 128 MiB of requests being received"))

// calls bounds what the calls in work hold, and how long a caller may let them
// wait: for the request's body, and for room to write the answer to. A read or
// write timeout of the server would end streams.
type calls struct {
	next   http.Handler
	inWork atomic.Int64
	bodies atomic.Int64 // bytes
}

func (c *calls) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer c.inWork.Add(-1)
	if c.inWork.Add(1) > maxCalls {
		w.Header().Set("Retry-After", "1")
		writeError(w, http.StatusServiceUnavailable, "limit met: calls in work")
		return
	}
	if r.Body != nil && r.Body != http.NoBody {
		b := &timedBody{body: r.Body, writer: w, lift: r.ProtoMajor == 1, all: &c.bodies}
		r.Body = b
		defer b.release()
	}
	if r.ProtoMajor == 2 {
		w = &timedWriter{ResponseWriter: w}
	}
	c.next.ServeHTTP(w, r)
}

// timedBody sets a deadline at its first read. On HTTP/1.1, where it would be
// that of the connection, it is lifted at the end of the body.
type timedBody struct {
	body   io.ReadCloser
	writer http.ResponseWriter
	lift   bool
	timed  bool
	read   int64
	all    *atomic.Int64
}

func (b *timedBody) Read(p []byte) (int, error) {
	if !b.timed {
		b.timed = true
		b.deadline(time.Now().Add(readTimeout))
	}
	n, err := b.body.Read(p)
	if b.read += int64(n); b.read > smallBody && !b.charge(int64(n)) {
		return 0, errBodies
	}
	if err == io.EOF && b.lift {
		b.deadline(time.Time{})
	}
	return n, err
}

// charge counts what was just read, from the first byte if it has just become
// too much to be small.
func (b *timedBody) charge(n int64) bool {
	if b.read-n <= smallBody {
		n = b.read
	}
	return b.all.Add(n) <= maxBodyBytes
}

// release gives back what was charged.
func (b *timedBody) release() {
	if b.read > smallBody {
		b.all.Add(-b.read)
	}
}

func (b *timedBody) Close() error { return b.body.Close() }

func (b *timedBody) deadline(t time.Time) {
	_ = http.NewResponseController(b.writer).SetReadDeadline(t) // best effort
}

// timedWriter gives what is written to an HTTP/2 stream the time that a
// connection has for its writes: a caller who grants a stream no window would
// otherwise hold it for ever, on a connection that works. Between a Flush and
// the next Write no time runs.
type timedWriter struct {
	http.ResponseWriter
	armed bool
}

func (w *timedWriter) Write(p []byte) (n int, err error) {
	for {
		if !w.armed || len(p) > writeChunk {
			w.armed = true
			w.deadline(time.Now().Add(writeTimeout))
		}
		m, err := w.ResponseWriter.Write(p[:min(len(p), writeChunk)])
		n += m
		if p = p[m:]; err != nil || len(p) == 0 {
			return n, err
		}
	}
}

// Flush implements [http.Flusher].
func (w *timedWriter) Flush() { _ = w.FlushError() }

// FlushError is what [http.ResponseController] calls.
func (w *timedWriter) FlushError() error {
	err := http.NewResponseController(w.ResponseWriter).Flush()
	if w.armed {
		w.armed = false
		w.deadline(time.Time{})
	}
	return err
}

// Unwrap is for [http.ResponseController].
func (w *timedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *timedWriter) deadline(t time.Time) {
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(t) // best effort
}
