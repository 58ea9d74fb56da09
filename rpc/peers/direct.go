package peers

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// direct carries calls over HTTP/1.1, each in the goroutine that makes it: a
// [http.Transport] has two more for each connection, and waking them up takes longer
// than a node takes to answer from memory. It is for calls that may be made twice:
// one is, where its connection turns out to have been closed while it was idle.
type direct struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)

	mu   sync.Mutex
	idle map[string][]*conn // by address; the last one was used last
}

// conn is a connection to a node.
type conn struct {
	net.Conn
	bound io.LimitedReader // of what one answer takes
	r     *bufio.Reader
	w     *bufio.Writer
	since time.Time // idle
}

const (
	// pieceSize is more than most calls and answers have.
	pieceSize = 8 << 10
	// maxHead bounds what an answer has beside its body.
	maxHead = 1 << 20
)

// errStale says that a connection was about to be closed, by a server that says so.
var errStale = errors.New("the connection was idle for too long")

func newDirect() *direct { return &direct{dial: dialer(), idle: make(map[string][]*conn)} }

// RoundTrip is that of [http.RoundTripper].
func (d *direct) RoundTrip(r *http.Request) (*http.Response, error) {
	if c := d.take(r.URL.Host); c != nil {
		res, err := d.exchange(c, r)
		if err == nil || r.Context().Err() != nil {
			return res, err
		}
		d.drop(r.URL.Host) // the others have been idle for longer
		if r.Body, err = r.GetBody(); err != nil {
			return nil, err
		}
	}
	c, err := d.connect(r.Context(), r.URL.Host)
	if err != nil {
		return nil, err
	}
	return d.exchange(c, r)
}

func (d *direct) connect(ctx context.Context, address string) (*conn, error) {
	to, err := d.dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: to, bound: io.LimitedReader{R: to}, w: bufio.NewWriterSize(to, pieceSize)}
	c.r = bufio.NewReaderSize(&c.bound, pieceSize)
	return c, nil
}

// exchange sends a request and reads its answer until the body.
func (d *direct) exchange(c *conn, r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	until, _ := ctx.Deadline()
	_ = c.SetDeadline(until)
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	res, err := c.send(r)
	if err != nil {
		stop()
		_ = c.Close()
		return nil, errors.Join(ctx.Err(), err)
	}
	keep := !res.Close && res.StatusCode >= http.StatusOK // below, another answer follows
	res.Body = &directBody{ReadCloser: res.Body, direct: d, conn: c, address: r.URL.Host, stop: stop, keep: keep}
	return res, nil
}

func (c *conn) send(r *http.Request) (*http.Response, error) {
	c.bound.N = maxHead + maxAnswer
	if err := errors.Join(r.Write(c.w), c.w.Flush()); err != nil {
		return nil, err
	}
	res, err := http.ReadResponse(c.r, r)
	if err == nil && res.StatusCode == http.StatusRequestTimeout {
		return nil, errStale
	}
	return res, err
}

// directBody gives its connection back when it has been read to its end.
type directBody struct {
	io.ReadCloser
	direct  *direct
	conn    *conn
	address string
	stop    func() bool // reports whether the deadlines are as they were set
	keep    bool
	atEnd   bool
}

func (b *directBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.atEnd = b.atEnd || errors.Is(err, io.EOF)
	return n, err
}

// Close is called once.
func (b *directBody) Close() error {
	if b.stop() && b.atEnd && b.keep && b.conn.r.Buffered() == 0 {
		b.direct.give(b.address, b.conn)
		return nil
	}
	return b.conn.Close()
}

func (d *direct) take(address string) *conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	idle := d.idle[address]
	if len(idle) == 0 {
		return nil
	}
	c := idle[len(idle)-1]
	d.idle[address] = idle[:len(idle)-1]
	return c
}

func (d *direct) give(address string, c *conn) {
	c.since = time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.idle[address] = append(d.idle[address], c)
}

// drop closes the idle connections to an address.
func (d *direct) drop(address string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.idle[address] {
		_ = c.Close()
	}
	delete(d.idle, address)
}

// closeIdle closes what has been idle since a time, or longer.
func (d *direct) closeIdle(since time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for address, idle := range d.idle {
		n := 0
		for n < len(idle) && !idle[n].since.After(since) {
			_ = idle[n].Close()
			n++
		}
		if d.idle[address] = slices.Delete(idle, 0, n); n == len(idle) {
			delete(d.idle, address)
		}
	}
}
