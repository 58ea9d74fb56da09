package origin

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

var errClosed = errors.New("closed before its end")

// stream is a body on its way, and before that the time-outs of its request.
type stream struct {
	reader *Reader
	kind   string
	ctx    context.Context //nolint:containedctx // ends the body, which is read later
	cancel context.CancelCauseFunc
	stop   context.CancelFunc
	// idle ends the stream: armed until the head has come, and in each Read.
	idle    *time.Timer
	arrived time.Time
	began   time.Time // the last try
	visit   visit
	left    int64 // of the bytes
	// patience is for how long the origin may still be waited for, until it has
	// sent more.
	patience time.Duration
	credited int64 // bytes that patience was given for
	body     io.ReadCloser
	once     sync.Once

	mu  sync.Mutex
	err error // what Read returns from now on
}

func (r *Reader) newStream(ctx context.Context, kind string) *stream {
	s := &stream{reader: r, kind: kind, arrived: time.Now(), left: r.cfg.MaxBytes, patience: r.cfg.Timeout}
	ctx, s.stop = context.WithTimeoutCause(ctx, r.cfg.ListTimeout, errTimeout)
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	s.idle = time.AfterFunc(r.cfg.Timeout, func() { s.cancel(errTimeout) })
	return s
}

// release ends the time-outs, and with them what is still under way.
func (s *stream) release() {
	s.idle.Stop()
	s.cancel(nil)
	s.stop()
}

// open begins the body of an answer. A receiver that has forgotten it does not
// hold the slot for longer than the context and the time-outs last.
func (s *stream) open(resp *http.Response) {
	s.idle.Stop()
	s.patience -= time.Since(s.arrived)
	s.body = resp.Body
	context.AfterFunc(s.ctx, func() { s.end(judge(s.ctx, s.ctx.Err())) })
}

// Read implements [io.Reader]. It is not to be called concurrently with itself.
func (s *stream) Read(p []byte) (int, error) {
	if err := s.ended(); err != nil {
		return 0, err
	}
	if int64(len(p)) > s.left {
		p = p[:s.left+1]
	}
	n, err := s.await(p)
	if int64(n) > s.left {
		n, err = int(s.left), fault(reasonOversized, "body over %d bytes", s.reader.cfg.MaxBytes)
	}
	s.left -= int64(n)
	if err != nil {
		if err != io.EOF { //nolint:errorlint // the body's own
			err = judge(s.ctx, err)
		}
		s.end(err)
	}
	return n, err
}

// creditBytes is for how many bytes the origin gets another time-out's patience.
const creditBytes = 64 << 10

// await reads from the origin for as long as there is patience.
func (s *stream) await(p []byte) (n int, err error) {
	began := time.Now()
	s.idle.Reset(s.patience)
	n, err = s.body.Read(p)
	s.idle.Stop()
	s.patience -= time.Since(began)
	s.credited += int64(n)
	if s.credited >= creditBytes {
		s.credited, s.patience = 0, s.reader.cfg.Timeout
	}
	return n, err
}

func (s *stream) ended() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Close implements [io.Closer].
func (s *stream) Close() error {
	s.end(fault(reasonCanceled, "%w", errClosed))
	return nil
}

// end gives everything back, once.
func (s *stream) end(err error) {
	s.once.Do(func() {
		s.mu.Lock()
		s.err = err
		s.mu.Unlock()
		if err == io.EOF { //nolint:errorlint // the body's own
			err = nil
		}
		_ = s.body.Close()
		s.reader.metrics.read(s.kind, s.began, err)
		s.visit.end(s.ctx, err)
		s.release()
	})
}
