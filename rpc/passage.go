package rpc

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"

	"connectrpc.com/connect"

	"github.com/tenantry/tenantry/cache"
)

// passage is an answer of the origin on its way to the caller.
type passage struct {
	*Passed
	ctx    context.Context //nolint:containedctx // bounds the body, which is read later
	cancel context.CancelFunc
	head   []byte // the beginning of the body
	whole  bool   // head is all of it
}

func (p *passage) close() {
	if p.Passed != nil {
		_ = p.Body.Close()
	}
	p.cancel()
}

// peek reads the beginning of the body.
func (p *passage) peek() error {
	if n, err := strconv.ParseInt(p.Header.Get("Content-Length"), 10, 64); err == nil && n > maxPassBytes {
		return &cache.FaultError{Reason: "oversized", Err: errPassBytes}
	}
	buf, n := make([]byte, passPeek), 0
	for n < len(buf) && !p.whole {
		m, err := p.Body.Read(buf[n:])
		n += m
		if p.whole = errors.Is(err, io.EOF); err != nil && !p.whole {
			return p.fault(err)
		}
	}
	p.head = buf[:n]
	return nil
}

var errPassBytes = errors.New("the origin's answer is too large to be passed on")

// fault is the error of a body that broke.
func (p *passage) fault(err error) error {
	if err = endedBy(p.ctx, err); p.ctx.Err() != nil {
		return err
	}
	if _, ok := errors.AsType[*cache.FaultError](err); ok {
		return err
	}
	return &cache.FaultError{Reason: "connect", Err: err}
}

// code is 0 for an answer, otherwise what the origin's status means.
func (p *passage) code() connect.Code {
	switch {
	case p.Status < 300:
		return 0
	case p.Status == http.StatusNotFound || p.Status == http.StatusGone:
		return connect.CodeNotFound
	}
	return connect.CodeInvalidArgument
}

// send sends the answer. If its body breaks, the connection to the caller does.
func (p *passage) send(w http.ResponseWriter, r *http.Request) {
	defer p.close()
	p.setHeader(w.Header())
	w.WriteHeader(p.Status)
	if r.Method == http.MethodHead {
		return
	}
	if _, err := w.Write(p.head); err != nil || p.whole {
		return
	}
	if err := p.stream(w); err != nil {
		panic(http.ErrAbortHandler) // what was sent must not pass for all of it
	}
}

// setHeader passes on those headers of the origin that say what the body is.
// Everything else is about its connection, its caches, its cookies, or names
// places that the caller does not reach.
func (p *passage) setHeader(h http.Header) {
	setFreshness(h, cache.Fresh, 0)
	h.Set("Cache-Control", "private, no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h["Content-Type"] = nil // not guessed where the origin gives none
	for _, name := range []string{"Content-Type", "Content-Encoding", "Content-Language", "Content-Disposition"} {
		if values := p.Header.Values(name); len(values) > 0 {
			h[name] = values
		}
	}
	length := p.Header.Get("Content-Length")
	if p.whole && p.Status != http.StatusNoContent {
		length = strconv.Itoa(len(p.head))
	}
	if n, err := strconv.ParseInt(length, 10, 64); err == nil && n >= int64(len(p.head)) {
		h.Set("Content-Length", length)
	}
}

// stream sends what follows the head, as it comes.
func (p *passage) stream(w http.ResponseWriter) error {
	buf, flush := p.head[:cap(p.head)], http.NewResponseController(w).Flush
	for sent := int64(len(p.head)); ; {
		n, err := p.Body.Read(buf)
		if sent += int64(n); sent > maxPassBytes {
			return errPassBytes
		}
		if _, err := w.Write(buf[:n]); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := flush(); err != nil {
			return err
		}
	}
}
