package origin

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// faultTimeout is the hard time-out of the reads of TestFaults.
const faultTimeout = time.Second

// faultCase is one way to fail, and what must become of it.
type faultCase struct {
	name string
	// speak answers a request; dial is where connections go instead; tls says
	// that the origin speaks TLS and the connections go to one that does not.
	speak func(net.Conn)
	dial  string
	tls   bool
	// want is the reason for kinds that are kept, passed that of a kind that
	// passes through: "404" is the status that is passed on.
	want, passed string
	// slow says that it takes the time-out; else it is at once.
	slow bool
}

func faultCases() []faultCase {
	say := func(head, body string) func(net.Conn) {
		return func(c net.Conn) {
			_, _ = fmt.Fprintf(c, "HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s", head, len(body), body)
		}
	}
	hang := func(text string) func(net.Conn) {
		return func(c net.Conn) { _, _ = io.WriteString(c, text); _, _ = io.Copy(io.Discard, c) }
	}
	const ok = "200 OK\r\nContent-Type: application/json"
	return []faultCase{
		{name: "401", speak: say("401 No", "{}"), want: "status", passed: "status"},
		{name: "403", speak: say("403 No", "{}"), want: "status", passed: "status"},
		{name: "404 as HTML", speak: say("404 No\r\nContent-Type: text/html", "<html>"), want: "status", passed: "404"},
		{name: "404 as JSON", speak: say("404 No\r\nContent-Type: application/json", "{}"), want: "absent", passed: "404"},
		{name: "429", speak: say("429 No", ""), want: "throttled", passed: "throttled"},
		{name: "500", speak: say("500 No", ""), want: "status", passed: "status"},
		{name: "503", speak: say("503 No", ""), want: "status", passed: "status"},
		{name: "hangs before the answer", speak: hang(""), want: "timeout", passed: "timeout", slow: true},
		{name: "hangs in the body", speak: hang("HTTP/1.1 " + ok + "\r\nContent-Length: 9\r\n\r\n{"), want: "timeout", passed: "timeout", slow: true},
		{name: "slow drip", speak: trickle("HTTP/1.1 " + ok + "\r\n\r\n{"), want: "timeout", passed: "timeout", slow: true},
		{name: "ends in the body", speak: func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 "+ok+"\r\nContent-Length: 9\r\n\r\n{") }, want: "connect", passed: "connect"},
		{name: "half JSON", speak: say(ok, `{"a":`), want: "malformed", passed: "200"},
		{name: "wrong type", speak: say("200 OK\r\nContent-Type: text/html", "<html>"), want: "malformed", passed: "200"},
		{name: "another's document", speak: say(ok, `{"id":"y"}`), want: "mismatch", passed: "200"},
		{name: "100 MB", speak: flood("HTTP/1.1 "+ok+"\r\n\r\n\"", 100<<20), want: "oversized", passed: "oversized"},
		{name: "redirect to another host", speak: say("302 Found\r\nLocation: http://127.0.0.2:1/a/users/x", ""), want: "redirect", passed: "redirect"},
		{name: "TLS error", tls: true, want: "connect", passed: "connect"},
		{name: "DNS failure", dial: "no-such-host.invalid:80", want: "connect", passed: "connect"},
		{name: "connection refused", dial: "127.0.0.1:1", want: "connect", passed: "connect"},
	}
}

// trickle writes a byte every 10 ms until the peer is gone.
func trickle(text string) func(net.Conn) {
	return func(c net.Conn) {
		_, err := io.WriteString(c, text)
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		for err == nil {
			<-ticker.C
			_, err = io.WriteString(c, " ")
		}
	}
}

func flood(text string, n int) func(net.Conn) {
	return func(c net.Conn) {
		_, err := io.WriteString(c, text)
		filler := strings.Repeat("x", 64<<10)
		for left := n; err == nil && left > 0; left -= len(filler) {
			_, err = io.WriteString(c, filler)
		}
	}
}

// faulty is an origin that can be broken and mended.
type faulty struct {
	faultCase
	broken atomic.Bool
	well   string // where a well origin listens
	plain  string // where one that speaks no TLS does
}

func (f *faulty) dialer(ctx context.Context, network, _ string) (net.Conn, error) {
	to := f.well
	switch {
	case f.broken.Load() && f.tls:
		to = f.plain
	case f.broken.Load() && f.dial != "":
		to = f.dial
	}
	return new(net.Dialer).DialContext(ctx, network, to)
}

// start returns a reader of it. Each connection serves one request, so that
// what it does is decided when the request comes.
func (f *faulty) start(t *testing.T) *Reader {
	t.Helper()
	cfg := Config{URL: "http://origin", Timeout: faultTimeout, ListTimeout: faultTimeout, MaxBytes: 1 << 20}
	f.plain = f.listen(t)
	f.well = f.plain
	var roots *x509.CertPool
	if f.tls {
		secure := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { reply200(w) }))
		secure.Config.ErrorLog = log.New(io.Discard, "", 0)
		secure.Config.SetKeepAlivesEnabled(false)
		secure.StartTLS()
		t.Cleanup(secure.Close)
		roots = secure.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
		cfg.URL, f.well = "https://example.com", secure.Listener.Addr().String()
	}
	r, err := New(cfg, []Kind{{Name: "user", One: "/{tenant}/users/{key}", Document: whole{}},
		{Name: "user", One: "/{tenant}/users/{key}", Document: byID{}},
		{Name: "history", One: "/{tenant}/history/{key}", Document: whole{}}}, discardLogger(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	r.transport.DialContext = f.dialer
	r.transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	r.transport.DisableKeepAlives = true
	return r
}

// byID maps {"id"} as the key, and the whole document as the value.
type byID struct{}

func (byID) Map(doc []byte) (string, []byte, uint64, bool, error) {
	key := ""
	if strings.Contains(string(doc), `"y"`) {
		key = "y"
	}
	return key, doc, 0, false, nil
}

func (f *faulty) listen(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	t.Cleanup(func() { listener.Close(); conns.Wait() })
	conns.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { f.serve(c) })
		}
	})
	return listener.Addr().String()
}

func (f *faulty) serve(c net.Conn) {
	defer c.Close()
	if f.tls {
		_, _ = io.WriteString(c, "HTTP/1.0 400 Bad Request\r\n\r\n")
		return
	}
	if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
		return
	}
	if f.broken.Load() && f.speak != nil {
		f.speak(c)
		return
	}
	_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
}

// kept reads as the cache does, passed as a client of an on-demand kind.
func kept(t *testing.T, r *Reader) error {
	_, err := r.One(t.Context(), "a", users, "x", "")
	return err
}

func passed(t *testing.T, r *Reader) error {
	resp, err := r.Pass(t.Context(), "a", history, []string{"x"}, "")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	return fmt.Errorf("%d", resp.Status) //nolint:err113 // a word for the table
}

func word(err error) string {
	if w := outcome(err); w != "other" {
		return w
	}
	return err.Error()
}

// TestFaults breaks the origin in every way: each gives its reason in its time;
// nothing of it stays; and reads are well again within 2 s of the origin. With
// UPDATE=1 it rewrites the table in docs/faults.md, which it otherwise compares.
func TestFaults(t *testing.T) {
	cases := faultCases()
	t.Run("cases", func(t *testing.T) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				f := &faulty{faultCase: c}
				f.check(t, f.start(t))
			})
		}
	})
	if t.Failed() {
		return
	}
	table := faultTable(cases)
	t.Log("\n" + table)
	compareDoc(t, table)
}

func (f *faulty) check(t *testing.T, r *Reader) {
	if err := kept(t, r); err != nil {
		t.Fatalf("while all is well: %v", err)
	}
	f.broken.Store(true)
	f.measure(t, r, kept, f.want)
	f.measure(t, r, passed, f.passed)
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() { _, _ = kept(t, r), passed(t, r) })
	}
	wg.Wait()
	f.broken.Store(false)
	f.recovers(t, r)
}

func (f *faulty) measure(t *testing.T, r *Reader, read func(*testing.T, *Reader) error, want string) {
	began := time.Now()
	err := read(t, r)
	took := time.Since(began)
	if word(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if f.slow != (took >= faultTimeout) || took > faultTimeout+time.Second {
		t.Errorf("took %v", took)
	}
}

func (f *faulty) recovers(t *testing.T, r *Reader) {
	began := time.Now()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := kept(t, r)
		if answer := passed(t, r); err == nil && word(answer) == "200" {
			return
		}
		if time.Since(began) > 2*time.Second {
			t.Fatalf("not well after %v: %v", time.Since(began), err)
		}
		<-ticker.C
	}
}

// What a client gets of a class while the origin cannot be read (C9).
const (
	orCritical  = "fresh; stale unless known old; 503"
	orReference = "fresh; stale; 503"
)

func faultTable(cases []faultCase) string {
	var b strings.Builder
	b.WriteString("| fault of the origin | reason | time | critical | reference | on-demand |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, c := range cases {
		took := "at once"
		if c.slow {
			took = "`origin.timeout`"
		}
		critical, reference := orCritical, orReference
		if c.want == "absent" {
			critical, reference = "404", "404"
		}
		onDemand := "503"
		switch c.passed {
		case "200", "404":
			onDemand = c.passed + ", as it is"
		case reasonOversized:
			onDemand = "503 if announced, else broken off at the bound"
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s | %s | %s |\n", c.name, c.want, took, critical, reference, onDemand)
	}
	fmt.Fprintf(&b, "| any that is the origin's, many times over | `open` | at once | %s | %s | 503 |\n", orCritical, orReference)
	return b.String()
}

const (
	faultsDoc   = "../../docs/faults.md"
	faultsBegin = "<!-- origin faults: written by UPDATE=1 go test -run TestFaults ./cache/origin -->\n"
	faultsEnd   = "<!-- end of origin faults -->\n"
)

func compareDoc(t *testing.T, table string) {
	text, err := os.ReadFile(faultsDoc)
	if errors.Is(err, os.ErrNotExist) && os.Getenv("UPDATE") != "" {
		text, err = []byte("# Faults\n\n"+faultsBegin+faultsEnd), nil
	}
	before, rest, found := strings.Cut(string(text), faultsBegin)
	is, after, ended := strings.Cut(rest, faultsEnd)
	switch {
	case err != nil || !found || !ended:
		t.Errorf("%s has no table of the origin's faults: %v", faultsDoc, err)
	case is == table:
	case os.Getenv("UPDATE") == "":
		t.Errorf("%s is not what this run has shown: UPDATE=1 go test -run TestFaults ./cache/origin", faultsDoc)
	default:
		if err := os.WriteFile(faultsDoc, []byte(before+faultsBegin+table+faultsEnd+after), 0o644); err != nil {
			t.Error(err)
		}
	}
}
