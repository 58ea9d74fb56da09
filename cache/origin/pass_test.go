package origin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/cache/origin"
)

func TestPass(t *testing.T) {
	var got http.Header
	var line string
	r := serve(t, origin.Config{Token: "s3cret"}, func(w http.ResponseWriter, req *http.Request) {
		got, line = req.Header.Clone(), req.RequestURI
		for name, value := range map[string]string{"Content-Type": "text/csv", "ETag": `"a"`, "Cache-Control": "no-store",
			"Link": "<x>; rel=next", "Set-Cookie": "s=1", "X-Internal": "1", "Server": "x"} {
			w.Header().Set(name, value)
		}
		fmt.Fprint(w, "a,b\n")
	})
	parent := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	ctx := origin.WithTraceparent(t.Context(), parent)
	resp, err := r.Pass(ctx, "123", history, []string{"a/b", "ü", "c"}, "from=1&to=%20")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != "a,b\n" || resp.Status != 200 || resp.ContentType != "text/csv" {
		t.Errorf("%d %s %q, %v", resp.Status, resp.ContentType, body, err)
	}
	if want := "/api/tenants/123/history/a%2Fb/%C3%BC/c?from=1&to=%20"; line != want {
		t.Errorf("asked %s, want %s", line, want)
	}
	want := http.Header{"Content-Type": {"text/csv"}, "Etag": {`"a"`}, "Cache-Control": {"no-store"}, "Link": {"<x>; rel=next"}, "Content-Length": {"4"}}
	if diff := cmp.Diff(want, resp.Header); diff != "" {
		t.Error(diff)
	}
	for name, value := range map[string]string{"X-Tenant-Id": "123", "Authorization": "Bearer s3cret", "Traceparent": parent} {
		if got.Get(name) != value {
			t.Errorf("%s: got %q, want %q", name, got.Get(name), value)
		}
	}
	if resp, err := r.Pass(t.Context(), "123", credits, []string{"x"}, "a=b"); err != nil || line != "/api/tenants/123/users/x/credits?full=1&a=b" {
		t.Errorf("%v, asked %s", err, line)
	} else {
		resp.Body.Close()
	}
}

func TestPassRefusesBeforeIO(t *testing.T) {
	var asked atomic.Bool
	r := serve(t, origin.Config{}, func(http.ResponseWriter, *http.Request) { asked.Store(true) })
	tests := []struct {
		tenant   string
		segments []string
		query    string
	}{
		{"..", []string{"x"}, ""}, {"a/b", []string{"x"}, ""}, {"t", nil, ""}, {"t", []string{}, ""}, {"t", []string{"a", ""}, ""}, {"t", []string{"..", "a"}, ""},
		{"t", []string{"a", "."}, ""}, {"t", []string{"a\x00"}, ""}, {"t", []string{"\xff"}, ""}, {"t", []string{strings.Repeat("k", 513)}, ""},
		{"t", strings.Split(strings.Repeat("kkkkkkkkk/", 500)+"k", "/"), ""},
		{"t", []string{"x"}, "a b"}, {"t", []string{"x"}, "a\r\nX: y"}, {"t", []string{"x"}, "a#b"}, {"t", []string{"x"}, "ü"}, {"t", []string{"x"}, "\x7f"},
		{"t", []string{"x"}, strings.Repeat("q", 8<<10+1)},
	}
	for _, tt := range tests {
		if _, err := r.Pass(t.Context(), tt.tenant, history, tt.segments, tt.query); !errors.Is(err, origin.ErrName) || reason(err) != "malformed" {
			t.Errorf("%.60q: %v", tt, err)
		}
	}
	if asked.Load() {
		t.Error("the origin was asked")
	}
}

func TestPassStatuses(t *testing.T) {
	for status, want := range map[int]string{200: "", 201: "", 204: "", 206: "", 400: "", 404: "", 409: "", 410: "", 422: "", 304: "status",
		401: "status", 403: "status", 429: "throttled", 500: "status", 502: "status", 503: "status", 302: "redirect"} {
		r := serve(t, origin.Config{Retries: -1}, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			if status != 204 && status != 304 {
				fmt.Fprint(w, "<html>")
			}
		})
		resp, err := r.Pass(t.Context(), "123", history, []string{"x"}, "")
		if want != "" {
			if reason(err) != want {
				t.Errorf("%d: %v", status, err)
			}
			continue
		}
		if err != nil || resp.Status != status {
			t.Errorf("%d: %v", status, err)
			continue
		}
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "<html>" && status != 204 {
			t.Errorf("%d: %q, %v", status, body, err)
		}
		resp.Body.Close()
	}
}

func TestPassRedirects(t *testing.T) {
	for to, want := range map[string]string{"/v2/123/history/a/b%2Fc": "<nil>", "/v2/123/history/a/b/c": "redirect", "/v2/124/history/a/b%2Fc": "redirect", "http://127.0.0.2:1/api/tenants/123/history/a/b%2Fc": "redirect"} {
		r := serve(t, origin.Config{}, func(w http.ResponseWriter, req *http.Request) {
			if strings.HasPrefix(req.URL.Path, "/api/") {
				w.Header().Set("Location", to)
				w.WriteHeader(http.StatusTemporaryRedirect)
			}
		})
		resp, err := r.Pass(t.Context(), "123", history, []string{"a", "b/c"}, "")
		if err == nil {
			resp.Body.Close()
		}
		if reason(err) != want {
			t.Errorf("%s: %v", to, err)
		}
	}
}

// A body that breaks, hangs, has no end or is not wanted any more ends, with
// its reason, and gives its slot back.
func TestPassBodies(t *testing.T) {
	t.Parallel()
	const timeout = 200 * time.Millisecond
	stay := func(text string) func(net.Conn) {
		return func(c net.Conn) { io.WriteString(c, text); untilClosed(c) }
	}
	tests := map[string]struct {
		speak func(net.Conn)
		want  string
	}{
		"hangs before the head": {stay(""), "timeout"},
		"hangs in the head":     {stay("HTTP/1.1 200 OK\r\nX: "), "timeout"},
		"hangs before the body": {stay(ok200 + "Content-Length: 10\r\n\r\n"), "timeout"},
		"hangs in the body":     {stay(ok200 + "Content-Length: 10\r\n\r\n{"), "timeout"},
		"drips for ever":        {func(c net.Conn) { io.WriteString(c, ok200+"\r\n{"); drip(c) }, "timeout"},
		"torn":                  {func(c net.Conn) { io.WriteString(c, ok200+"Content-Length: 10\r\n\r\n{") }, "connect"},
		"torn chunks":           {func(c net.Conn) { io.WriteString(c, ok200+"Transfer-Encoding: chunked\r\n\r\n9\r\n{}") }, "connect"},
		"endless":               {func(c net.Conn) { endless(c, ok200+"\r\n") }, "oversized"},
		"announced too large":   {stay(ok200 + "Content-Length: 100000000\r\n\r\n"), "oversized"},
		"as large as may be": {func(c net.Conn) {
			io.WriteString(c, ok200+"Content-Length: 1000\r\n\r\n")
			io.WriteString(c, strings.Repeat("x", 1000))
		}, "<nil>"},
		"one byte more": {func(c net.Conn) { io.WriteString(c, ok200+"\r\n"+strings.Repeat("x", 1001)) }, "oversized"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := raw(t, func(c net.Conn, _ string) { tt.speak(c) })
			r := newReader(t, origin.Config{URL: url, Timeout: timeout, ListTimeout: 20 * timeout, MaxBytes: 1000, Retries: -1, Concurrency: 1, MaxWaiting: 1})
			for range 2 { // the second needs the slot of the first
				began := time.Now()
				n, err := pass(t.Context(), r)
				if reason(err) != tt.want || n > 1000 {
					t.Errorf("%d bytes, %v, want %s", n, err, tt.want)
				}
				if took := time.Since(began); took > timeout+time.Second {
					t.Errorf("took %v", took)
				}
			}
			r.Close()
		})
	}
}

func pass(ctx context.Context, r *origin.Reader) (int64, error) {
	resp, err := r.Pass(ctx, "123", history, []string{"x"}, "")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return io.Copy(io.Discard, resp.Body)
}

// A slot is held while the body lasts, and not for longer: whether it is
// closed, its context ends or its receiver forgets it.
func TestPassHoldsASlot(t *testing.T) {
	url := raw(t, func(c net.Conn, _ string) {
		io.WriteString(c, ok200+"Content-Length: 100\r\n\r\n{")
		untilClosed(c)
	})
	for name, end := range map[string]func(*origin.Response, context.CancelFunc){
		"closed":    func(resp *origin.Response, _ context.CancelFunc) { resp.Body.Close() },
		"canceled":  func(_ *origin.Response, cancel context.CancelFunc) { cancel() },
		"forgotten": func(*origin.Response, context.CancelFunc) {},
	} {
		r := newReader(t, origin.Config{URL: url, Timeout: 300 * time.Millisecond, ListTimeout: time.Second, Concurrency: 1, MaxWaiting: 1})
		ctx, cancel := context.WithCancel(t.Context())
		resp, err := r.Pass(ctx, "123", history, []string{"x"}, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Pass(t.Context(), "124", history, []string{"x"}, ""); reason(err) != "throttled" {
			t.Errorf("%s: two at once: %v", name, err)
		}
		end(resp, cancel)
		began := time.Now()
		for resp := (*origin.Response)(nil); resp == nil; {
			if resp, err = r.Pass(t.Context(), "124", history, []string{"x"}, ""); err == nil {
				resp.Body.Close()
			} else if time.Since(began) > 3*time.Second {
				t.Fatalf("%s: the slot is lost: %v", name, err)
			}
		}
		if _, err := resp.Body.Read(make([]byte, 10)); err == nil && name != "canceled" {
			t.Errorf("%s: the body goes on", name)
		}
		resp.Body.Close()
		cancel()
		r.Close()
	}
}

// Receivers of what is passed on, however slow, keep no read waiting.
func TestPassesKeepNoReadWaiting(t *testing.T) {
	r := serve(t, origin.Config{Concurrency: 1, TenantConcurrency: func(string) int { return 1 }}, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.Contains(req.URL.Path, "/history/") {
			fmt.Fprint(w, strings.Repeat("x", 1<<20))
			return
		}
		answer(w, `{"id":"x","v":1}`)
	})
	resp, err := r.Pass(t.Context(), "123", history, []string{"x"}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := r.One(t.Context(), "123", role, "x", ""); err != nil {
		t.Error(err)
	}
}

// A long body may take longer than the time-out, as long as it comes.
func TestLongBodiesMayComeSlowly(t *testing.T) {
	const pieces = 6
	r := serve(t, origin.Config{Timeout: 500 * time.Millisecond}, func(w http.ResponseWriter, req *http.Request) {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for range pieces {
			fmt.Fprint(w, strings.Repeat("x", 64<<10))
			_ = http.NewResponseController(w).Flush()
			<-tick.C
		}
	})
	if n, err := pass(t.Context(), r); err != nil || n != pieces*64<<10 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// What comes is there at once, not at the end.
func TestPassStreams(t *testing.T) {
	more := make(chan struct{})
	r := serve(t, origin.Config{}, func(w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			fmt.Fprint(w, "piece")
			_ = http.NewResponseController(w).Flush()
			<-more
		}
	})
	resp, err := r.Pass(t.Context(), "123", history, []string{"x"}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for range 3 {
		p := make([]byte, 5)
		if _, err := io.ReadFull(resp.Body, p); err != nil || !bytes.Equal(p, []byte("piece")) {
			t.Errorf("%q, %v", p, err)
		}
		more <- struct{}{}
	}
	if n, err := resp.Body.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("%d, %v", n, err)
	}
}

func TestPassIsRetriedBeforeItsHead(t *testing.T) {
	asked := 0
	r := serve(t, origin.Config{}, func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked < 3 {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	if _, err := pass(t.Context(), r); err != nil || asked != 3 {
		t.Errorf("%v, asked %d times", err, asked)
	}
}

func TestTraceparent(t *testing.T) {
	var got []string
	r := serve(t, origin.Config{}, func(w http.ResponseWriter, req *http.Request) {
		got = req.Header.Values("Traceparent")
		answer(w, "{}")
	})
	const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for value, sent := range map[string]bool{
		good: true, "cc" + good[2:]: true, "": false, "ff" + good[2:]: false, strings.ToUpper(good): false, good + "-x": false, good[:54]: false, " " + good[1:]: false,
		"00-00000000000000000000000000000000-b7ad6b7169203331-01": false, "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01": false,
		strings.Replace(good, "-", "_", 1): false, good[:53] + "\r\n": false, "0g" + good[2:]: false,
	} {
		if _, err := r.One(origin.WithTraceparent(t.Context(), value), "123", role, "x", ""); err != nil {
			t.Fatal(err)
		}
		if len(got) > 0 != sent || sent && got[0] != value {
			t.Errorf("%q: the origin got %q", value, got)
		}
	}
}
