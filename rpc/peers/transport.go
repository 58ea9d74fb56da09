package peers

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// newTransport returns what carries all but calls from memory. Nodes are near each
// other, and a connection that a dead node leaves behind shows by its pings.
func newTransport() *http.Transport {
	return &http.Transport{
		DisableCompression: true, MaxIdleConnsPerHost: idleConns, IdleConnTimeout: idleTimeout,
		DialContext: dialer(),
	}
}

// dialer gives up soon: whoever does not accept within a few round trips is gone.
func dialer() func(context.Context, string, string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}
	return d.DialContext
}

// client returns what makes the calls. It follows no redirects: the secret would
// go along.
func client(t http.RoundTripper) *http.Client {
	return &http.Client{Transport: wire{t}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// wire sends a request in one piece, so that it takes one write, and can be sent again
// where the connection turns out to have been closed while it was idle. It bounds the
// bodies of answers: Connect refuses what is too large, and goes on to count how much
// it is. Streams may be of any length: their messages are bounded one by one, and each
// has to come in time.
type wire struct{ next http.RoundTripper }

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.ContentLength > 0 && r.ContentLength <= maxPiece {
		var err error
		if r, err = inOnePiece(r); err != nil {
			return nil, err
		}
	}
	res, err := w.next.RoundTrip(r)
	if err == nil && !strings.HasPrefix(res.Header.Get("Content-Type"), "application/connect+") {
		res.Body = &boundedBody{res.Body, maxAnswer + maxAnswer/64}
	}
	return res, err
}

// CloseIdleConnections has [http.Client] reach that of the transport.
func (w wire) CloseIdleConnections() {
	if t, ok := w.next.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// maxPiece is more than most calls have.
const maxPiece = 2 << 20

// inOnePiece returns the request with a body that net/http knows to be in memory. It
// would send the headers of any other for themselves.
func inOnePiece(r *http.Request) (*http.Request, error) {
	body := make([]byte, r.ContentLength)
	_, err := io.ReadFull(r.Body, body)
	if err = errors.Join(err, r.Body.Close()); err != nil {
		return nil, err
	}
	r = r.WithContext(r.Context())
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Body, err = r.GetBody()
	return r, err
}

type boundedBody struct {
	io.ReadCloser
	left int
}

var errTooLarge = errors.New("the node's answer is too large")

func (b *boundedBody) Read(p []byte) (n int, err error) {
	if n, err = b.ReadCloser.Read(p); n > b.left {
		return n, errTooLarge
	}
	b.left -= n
	return n, err
}
