package origin_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/cache/origin"
)

// raw starts a server that is not HTTP by itself: speak gets each connection
// once a request's head has come, and the first line of it.
func raw(t *testing.T, speak func(c net.Conn, line string)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	t.Cleanup(conns.Wait)
	t.Cleanup(func() { listener.Close() })
	conns.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer c.Close()
				if line, err := head(c); err == nil {
					speak(c, line)
				}
			})
		}
	})
	return "http://" + listener.Addr().String()
}

func head(c net.Conn) (first string, err error) {
	r := bufio.NewReader(c)
	first, err = r.ReadString('\n')
	for line := ""; err == nil && line != "\r\n"; {
		line, err = r.ReadString('\n')
	}
	return first, err
}

// Keys and tenants reach the origin byte for byte.
func TestOneSegmentOnTheWire(t *testing.T) {
	lines := make(chan string, 1)
	r := newReader(t, origin.Config{URL: raw(t, func(c net.Conn, line string) {
		lines <- line
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
	}) + "/base/"})
	for key, want := range map[string]string{
		"a/b": "a%2Fb", "../x": "..%2Fx", "/": "%2F", "../../../etc/passwd": "..%2F..%2F..%2Fetc%2Fpasswd",
		"%2e%2e": "%252e%252e", "%2F": "%252F", "%": "%25", "%zz": "%25zz",
		"a?b": "a%3Fb", "a#b": "a%23b", "a;b": "a%3Bb", "ü": "%C3%BC", "a b": "a%20b", " ": "%20", "+": "+",
		"a&b=c": "a&b=c", "a:b@c": "a:b@c", "a,b": "a%2Cb", `a\b`: "a%5Cb", "...": "...", "a..": "a..",
		"http://evil/": "http:%2F%2Fevil%2F", "{tenant}": "%7Btenant%7D", "{key}": "%7Bkey%7D", "a[0]'(!)*": "a%5B0%5D%27%28%21%29%2A",
		"\u2028": "%E2%80%A8", strings.Repeat("k", 512): strings.Repeat("k", 512),
	} {
		if _, err := r.One(t.Context(), "t.-_1", role, key, ""); err != nil {
			t.Errorf("%q: %v", key, err)
			continue
		}
		if got := <-lines; got != "GET /base/api/tenants/t.-_1/roles/"+want+" HTTP/1.1\r\n" {
			t.Errorf("%q: got %q", key, got)
		}
	}
}

func TestNamesRefusedBeforeIO(t *testing.T) {
	var asked atomic.Bool
	r := serve(t, origin.Config{}, func(http.ResponseWriter, *http.Request) { asked.Store(true) })
	for _, key := range []string{"", ".", "..", "a\x00", "a\nb", "\x7f", "\u0085", "\xff", strings.Repeat("k", 513)} {
		if _, err := r.One(t.Context(), "123", role, key, ""); !errors.Is(err, origin.ErrName) || reason(err) != "malformed" {
			t.Errorf("key %q: %v", key, err)
		}
	}
	for _, tenant := range []string{"", ".", "..", "a/b", "a b", "ü", "a\r\nX: y", strings.Repeat("t", 65)} {
		if _, err := r.One(t.Context(), tenant, role, "x", ""); !errors.Is(err, origin.ErrName) {
			t.Errorf("tenant %q: %v", tenant, err)
		}
		if _, err := r.List(t.Context(), tenant, role, "", nil); !errors.Is(err, origin.ErrName) {
			t.Errorf("list, tenant %q: %v", tenant, err)
		}
	}
	if _, err := r.List(t.Context(), "123", credits, "", nil); !errors.Is(err, origin.ErrNotServed) {
		t.Error(err)
	}
	if asked.Load() {
		t.Error("the origin was asked")
	}
}

// drip writes a byte every 10 ms until the peer is gone.
func drip(c net.Conn) {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for range ticker.C {
		if _, err := io.WriteString(c, " "); err != nil {
			return
		}
	}
}

func untilClosed(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

const ok200 = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

func TestHostileOrigins(t *testing.T) {
	t.Parallel()
	const timeout = 400 * time.Millisecond
	say := func(text string) func(net.Conn) { return func(c net.Conn) { io.WriteString(c, text) } }
	stay := func(text string) func(net.Conn) {
		return func(c net.Conn) { io.WriteString(c, text); untilClosed(c) }
	}
	tests := map[string]struct {
		speak func(net.Conn)
		want  string
	}{
		"hangs before the answer": {untilClosed, "timeout"},
		"hangs in the head":       {stay("HTTP/1.1 200 OK\r\nX: "), "timeout"},
		"hangs before the body":   {stay(ok200 + "Content-Length: 10\r\n\r\n"), "timeout"},
		"hangs in the body":       {stay(ok200 + "Content-Length: 10\r\n\r\n{"), "timeout"},
		"drips the body":          {func(c net.Conn) { io.WriteString(c, ok200+"\r\n{"); drip(c) }, "timeout"},
		"drips the head":          {func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\nX:"); drip(c) }, "timeout"},
		"drips a 404": {func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 404 No\r\nContent-Type: application/json\r\n\r\n")
			drip(c)
		}, "timeout"},
		"hangs in a small 500":          {stay("HTTP/1.1 500 No\r\nContent-Length: 10\r\n\r\n{"), "status"},
		"endless 500":                   {func(c net.Conn) { io.WriteString(c, "HTTP/1.1 500 No\r\n\r\n"); drip(c) }, "status"},
		"closes at once":                {func(net.Conn) {}, "connect"},
		"closes in the head":            {say("HTTP/1.1 200 OK\r\n"), "connect"},
		"closes in the body":            {say(ok200 + "Content-Length: 10\r\n\r\n{}"), "connect"},
		"closes in a chunk":             {say(ok200 + "Transfer-Encoding: chunked\r\n\r\n9\r\n{}"), "connect"},
		"closes before the last chunk":  {say(ok200 + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"), "connect"},
		"closes an unannounced body":    {say(ok200 + "\r\n{\"id\":"), "malformed"},
		"not HTTP":                      {say("hello\r\n\r\n"), "connect"},
		"two lengths":                   {say(ok200 + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} "), "connect"},
		"a negative length":             {say(ok200 + "Content-Length: -2\r\n\r\n{}"), "connect"},
		"an enormous length":            {stay(ok200 + "Content-Length: 99999999999\r\n\r\n{"), "oversized"},
		"an endless body":               {func(c net.Conn) { endless(c, ok200+"\r\n{\"v\":\"") }, "oversized"},
		"an endless chunked body":       {func(c net.Conn) { endless(c, ok200+"Transfer-Encoding: chunked\r\n\r\nfffffff\r\n") }, "oversized"},
		"an endless head":               {func(c net.Conn) { endless(c, "HTTP/1.1 200 OK\r\nX: ") }, "connect"},
		"endless 1xx":                   {func(c net.Conn) { endless(c, strings.Repeat("HTTP/1.1 103 Hint\r\nX: y\r\n\r\n", 100)) }, "connect"},
		"an endless 404":                {func(c net.Conn) { endless(c, "HTTP/1.1 404 No\r\nContent-Type: application/json\r\n\r\n\"") }, "status"},
		"switches protocols":            {say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"), "status"},
		"switches protocols and stays":  {stay("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"), "status"},
		"more bytes than announced":     {say(ok200 + "Content-Length: 2\r\n\r\n{}garbage"), "<nil>"},
		"a second answer nobody wanted": {say(ok200 + "Content-Length: 2\r\n\r\n{}" + ok200 + "Content-Length: 9\r\n\r\n{\"id\":\"y\""), "<nil>"},
		"says nothing of length":        {say(ok200 + "\r\n{}"), "<nil>"},
		"HTTP/1.0":                      {say("HTTP/1.0 200 OK\r\n\r\n{}"), "<nil>"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := raw(t, func(c net.Conn, _ string) { tt.speak(c) })
			r := newReader(t, origin.Config{URL: url, Timeout: timeout, MaxBytes: 1 << 20})
			began := time.Now()
			_, err := r.One(t.Context(), "123", role, "x", "")
			if reason(err) != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			if took := time.Since(began); took > timeout+time.Second {
				t.Errorf("took %v", took)
			}
			r.Close()
		})
	}
}

func endless(c net.Conn, text string) {
	_, err := io.WriteString(c, text)
	for filler := strings.Repeat("x", 32<<10); err == nil; {
		_, err = io.WriteString(c, filler)
	}
}

func TestUnreachable(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	for url, want := range map[string]string{
		"http://" + closed.Addr().String(): "connect", "http://no-such-host.invalid": "connect",
		secure.URL: "connect", strings.Replace(plain.URL, "http:", "https:", 1): "connect",
	} {
		r := newReader(t, origin.Config{URL: url, Timeout: 5 * time.Second})
		_, err := r.One(t.Context(), "123", role, "x", "")
		silentDNS := url == "http://no-such-host.invalid" && reason(err) == "timeout"
		if got := reason(err); got != want && !silentDNS {
			t.Errorf("%s: got %v", url, err)
		}
	}
	_, err = newReader(t, origin.Config{URL: secure.URL}).One(t.Context(), "123", role, "x", "")
	if verify := new(tls.CertificateVerificationError); !errors.As(err, &verify) {
		t.Errorf("the cause of a TLS fault is lost: %v", err)
	}
}

func TestCanceledBeforeTheRead(t *testing.T) {
	r := serve(t, origin.Config{}, func(w http.ResponseWriter, _ *http.Request) { answer(w, "{}") })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.One(ctx, "123", role, "x", ""); reason(err) != "canceled" {
		t.Error(err)
	}
}

func TestConnectionsAreKept(t *testing.T) {
	var opened atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch {
		case strings.HasSuffix(req.URL.Path, "/no"):
			w.WriteHeader(http.StatusInternalServerError)
			io.WriteString(w, "sorry")
		case strings.HasSuffix(req.URL.Path, "/absent"):
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, "{}")
		default:
			answer(w, "{}")
		}
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	r := newReader(t, origin.Config{URL: server.URL})
	for range 5 {
		for _, key := range []string{"yes", "no", "absent"} {
			_, _ = r.One(t.Context(), "123", role, key, "")
		}
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("%d connections for reads one after another", n)
	}
	r.Close()
}

func TestRedirects(t *testing.T) {
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		elsewhere.Add(1)
		answer(w, "{}")
	}))
	defer other.Close()
	tests := map[string]struct {
		to, key string
		kind    *cache.Kind
		want    string
	}{
		"same item, other version": {to: "/v2/tenants/123/roles/x", want: "<nil>"},
		"relative":                 {to: "../../124/roles/x?y=1#frag", want: "redirect"},
		"relative, the same item":  {to: "../../../../v2/tenants/../123/roles/x?y=1#frag", want: "<nil>"},
		"escaped key":              {key: "a/b", to: "/v2/123/roles/a%2Fb", want: "<nil>"},
		"cleaned key":              {key: "../x", to: "/api/tenants/123/x", want: "redirect"},
		"unescaped key":            {key: "a/b", to: "/v2/123/roles/a/b", want: "redirect"},
		"cleaned key, same end":    {key: "../x", kind: credits, to: "/api/tenants/123/x/credits", want: "redirect"},
		"other key":                {to: "/v2/123/roles/y", want: "redirect"},
		"other tenant":             {to: "/v2/124/roles/x", want: "redirect"},
		"longer tenant":            {to: "/v2/9123/roles/x", want: "redirect"},
		"with a slash":             {to: "/api/tenants/123/roles/x/", want: "redirect"},
		"other host":               {to: other.URL + "/api/tenants/123/roles/x", want: "redirect"},
		"other host, no scheme":    {to: "//" + strings.TrimPrefix(other.URL, "http://") + "/api/tenants/123/roles/x", want: "redirect"},
		"other scheme":             {to: "https://{host}/api/tenants/123/roles/x", want: "redirect"},
		"file":                     {to: "file:///api/tenants/123/roles/x", want: "redirect"},
		"with a user":              {to: "http://u:p@{host}/v2/123/roles/x", want: "redirect"},
		"absolute":                 {to: "http://{host}/v2/123/roles/x", want: "<nil>"},
		"to itself for ever":       {to: "/api/tenants/123/roles/x", want: "redirect"},
		"not a URL":                {to: "http://[::1", want: "redirect"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			asked := 0
			r := serve(t, origin.Config{Token: "s3cret"}, func(w http.ResponseWriter, req *http.Request) {
				asked++
				if !strings.HasPrefix(req.URL.Path, "/api/") {
					answer(w, "{}")
					return
				}
				w.Header().Set("Location", strings.Replace(tt.to, "{host}", req.Host, 1))
				w.WriteHeader(http.StatusFound)
			})
			kind, key := role, "x"
			if tt.kind != nil {
				kind = tt.kind
			}
			if tt.key != "" {
				key = tt.key
			}
			if _, err := r.One(t.Context(), "123", kind, key, ""); reason(err) != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			if limit := map[bool]int{true: 4, false: 2}[strings.HasPrefix(name, "to itself")]; asked > limit {
				t.Errorf("asked %d times", asked)
			}
		})
	}
	if elsewhere.Load() != 0 {
		t.Error("another host was asked")
	}
}
