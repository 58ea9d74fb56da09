package peers

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// called makes a call of a direct, and returns what is answered.
func called(ctx context.Context, d *direct, url, body string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	res, err := d.RoundTrip(req)
	if err != nil {
		return "", broken(ctx, err)
	}
	b, err := io.ReadAll(res.Body)
	return string(b), errors.Join(err, res.Body.Close())
}

// kept counts the idle connections.
func (d *direct) kept() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, idle := range d.idle {
		n += len(idle)
	}
	return n
}

func TestDirectCalls(t *testing.T) {
	var mu sync.Mutex
	from := make(map[string]bool)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		from[r.RemoteAddr] = true
		mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	}))
	defer s.Close()
	d := newDirect()
	defer d.closeIdle(time.Now())
	for _, size := range []int{0, 1, pieceSize - 200, 10 * pieceSize, 3 << 20} { // some are chunked
		body := strings.Repeat("x", size)
		if got, err := called(t.Context(), d, s.URL, body); got != body || err != nil {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
	}
	if len(from) != 1 || d.kept() != 1 {
		t.Errorf("%d connections, %d kept", len(from), d.kept())
	}
	var calls sync.WaitGroup
	for i := range 8 {
		calls.Go(func() {
			for range 200 {
				body := strings.Repeat(string(rune('a'+i)), 100*i+1)
				if got, err := called(t.Context(), d, s.URL, body); got != body || err != nil {
					t.Errorf("got %d bytes %.3q, not %d, %v", len(got), got, len(body), err)
				}
			}
		})
	}
	calls.Wait()
	if len(from) > 8 || d.kept() != len(from) {
		t.Errorf("%d connections, %d kept", len(from), d.kept())
	}
	d.closeIdle(time.Now().Add(-time.Minute))
	if d.kept() != len(from) {
		t.Error("one was closed too early")
	}
	d.closeIdle(time.Now())
	if d.kept() != 0 {
		t.Errorf("%d kept", d.kept())
	}
}

// rawServer is a server that answers each request on a connection with the next text, and
// then closes it.
func rawServer(t *testing.T, answers ...string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for _, a := range answers {
					if _, err := c.Read(make([]byte, 1<<16)); err != nil {
						return
					}
					_, _ = io.WriteString(c, a)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// A connection is used again only when nothing more can come on it.
func TestConnectionsThatAreNotUsedAgain(t *testing.T) {
	const good = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	for name, first := range map[string]string{
		"to be closed":       "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
		"another's answer":   good + good,
		"until the end":      "HTTP/1.0 200 OK\r\n\r\nok",
		"another will come":  "HTTP/1.1 103 Early Hints\r\n\r\n",
		"less than it says":  "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
		"not even an answer": "SSH-2.0-OpenSSH_9.9\r\n",
	} {
		d := newDirect()
		_, _ = called(t.Context(), d, rawServer(t, first), "question")
		if d.kept() != 0 {
			t.Errorf("%s: was kept", name)
		}
	}
	for name, second := range map[string]string{"closed": "", "timed out": "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"} {
		d, url := newDirect(), rawServer(t, good, second)
		for range 3 {
			if got, err := called(t.Context(), d, url, "question"); got != "ok" || err != nil {
				t.Errorf("%s: got %q, %v", name, got, err)
			}
		}
		d.closeIdle(time.Now())
	}
}

func TestDirectCallsThatEnd(t *testing.T) {
	url := rawServer(t, "")
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	d := newDirect()
	if _, err := called(t.Context(), d, url, "question"); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := called(ctx, d, "http://"+silent.Addr().String(), "question"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := called(ctx, d, "http://"+silent.Addr().String(), "question"); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if d.kept() != 0 {
		t.Errorf("%d kept", d.kept())
	}
}
