package origin

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/cache"
)

func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, 2, 2)
		if err := g.enter(t.Context(), "t", 1); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errTimeout)
		defer cancel()
		results := make(chan error, 2)
		go func() { results <- g.enter(ctx, "t", 1) }()
		synctest.Wait()
		go func() { results <- g.enter(t.Context(), "t", 1) }()
		synctest.Wait()
		if err := g.enter(t.Context(), "t", 1); !errors.Is(err, errQueueFull) {
			t.Errorf("the queue is full, but: %v", err)
		}
		if err := <-results; !errors.Is(err, errTimeout) {
			t.Errorf("the first waiter's time is over, but: %v", err)
		}
		g.leave("t")
		if err := <-results; err != nil || g.queued() != 0 {
			t.Errorf("the second waiter: %v, waiting %d", err, g.queued())
		}
	})
}

// The wait for a slot is a part of the read's time-out.
func TestFullGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := New(Config{URL: "http://127.0.0.1:1", Concurrency: 1, MaxWaiting: 1}, []Kind{{One: "/{key}", Document: whole{}}}, discardLogger(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.gate.enter(t.Context(), "other", 1); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		first := make(chan error)
		go func() {
			_, err := r.One(t.Context(), "t", &cache.Kind{}, "k", "")
			first <- err
		}()
		synctest.Wait()
		_, err = r.One(t.Context(), "t", &cache.Kind{}, "k", "")
		if outcome(err) != reasonThrottled || time.Since(began) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if err := <-first; outcome(err) != reasonThrottled || time.Since(began) != 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err = r.One(ctx, "t", &cache.Kind{}, "k", ""); outcome(err) != reasonCanceled {
			t.Error(err)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	const date = "Sun, 06 Nov 1994 08:49:37 GMT"
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "5": 5 * time.Second, " 5 ": 5 * time.Second, "60": time.Minute, "3600": time.Hour, "1.5": 0, "-5": 0, "+5": 0, "x": 0,
		"Sun, 06 Nov 1994 08:49:39 GMT": 2 * time.Second, "Sun, 06 Nov 1994 08:49:30 GMT": 0, "Sun, 06 Nov 2094 08:49:39 GMT": time.Hour,
		"00000000000000000000000000000007": 7 * time.Second,
	} {
		if got := retryAfter(http.Header{"Retry-After": {value}, "Date": {date}}); got != want {
			t.Errorf("%q: got %v, want %v", value, got, want)
		}
	}
	if got := retryAfter(http.Header{"Retry-After": {date}}); got != 0 {
		t.Errorf("a date without the origin's clock: %v", got)
	}
}

func TestNextLink(t *testing.T) {
	for header, want := range map[string]string{
		"": "", " , ,": "", `<a>`: "", `<a>;`: "", `<a>;;rel=next`: "a", `<a>; rel=next`: "a", `<a>; REL="NEXT"`: "a", `<a> ; rel = "prev next"`: "a",
		`<a>; rel=prev; rel=next`: "", `<a,b;c>; x="d>, <e>; rel=next"; rel=next`: "a,b;c", `<a>; title="\"; rel=x"; rel=next`: "a",
		`<a>; rel=prev, <b>; rel=next`: "b", `<a>; rel=next,<a>;rel=next`: "a", `<a>; flag; rel=next`: "a", `<a>; rel=next; anchor="#x"`: "",
		`<a>; rel=nextish`: "", `<a>; relnext`: "",
	} {
		if got, err := nextLink([]string{header}); err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", header, got, err, want)
		}
	}
	for _, header := range []string{"a", "<a", `<a> rel=next`, `<a>; rel="next`, `<a>; rel="next\`, `<>; rel=next`, `<a>; rel=next, <b>; rel=next`, `<a>; x"y"`} {
		if got, err := nextLink([]string{header}); err == nil {
			t.Errorf("%q: got %q without an error", header, got)
		}
	}
	many := strings.Repeat(";", 60<<10) + "rel=next"
	began := time.Now()
	if got, err := nextLink([]string{"<a>" + many}); err != nil || got != "a" || time.Since(began) > time.Second {
		t.Errorf("%q, %v after %v", got, err, time.Since(began))
	}
}

func FuzzNextLink(f *testing.F) {
	for _, seed := range []string{`<a>; rel=next`, `<a>; rel="prev next"; title="x\"y", <b>;rel=x`, `<a`, `,,;`, `<a>;=;rel=`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		next, err := nextLink([]string{header})
		if err != nil && next != "" || !strings.Contains(header, next) {
			t.Errorf("%q: %q, %v", header, next, err)
		}
		if err == nil && next != "" && !strings.Contains(next, ">") {
			if again, err := nextLink([]string{header, "<" + next + ">; rel=next"}); err != nil || again != next {
				t.Errorf("%q: %q, %v when repeated", header, again, err)
			}
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("5", "Sun, 06 Nov 1994 08:49:37 GMT")
	f.Add("Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT")
	f.Add("99999999999999999999", "")
	f.Fuzz(func(t *testing.T, value, date string) {
		if d := retryAfter(http.Header{"Retry-After": {value}, "Date": {date}}); d < 0 || d > maxRetryAfter {
			t.Errorf("%q: %v", value, d)
		}
	})
}

func FuzzElements(f *testing.F) {
	for _, seed := range []string{`[]`, ` [ ] `, `[1, "a,]\"[" ,{"b":[{}]},[[]],null]`, `{"a":[1,2]}`, `[1`, `]`, `,`, `"`, `[,]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got := []string{}
		for i, element := range elements(text) {
			if got = append(got, string(element)); len(got) > len(text) || i >= len(text) {
				t.Fatal("more elements than bytes")
			}
		}
		if checkJSON(text, maxDepth) != nil || !begins(text, '[') {
			return // only bounded, since it is never split
		}
		var want []json.RawMessage
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		texts := []string{}
		for _, w := range want {
			texts = append(texts, string(w))
		}
		if diff := cmp.Diff(texts, got); diff != "" {
			t.Error(diff)
		}
	})
}

// Whatever the key, its path is one segment that gives the key back.
func FuzzExpand(f *testing.F) {
	for _, seed := range []string{"x", "../x", "a/b", "%2e%2e", "a?b#c;d", "ü +"} {
		f.Add(seed)
	}
	tmpl, err := parseTemplate("/api/{tenant}/{key}/credits", true)
	if err != nil {
		f.Fatal(err)
	}
	base := &url.URL{Scheme: "http", Host: "h"}
	f.Fuzz(func(t *testing.T, key string) {
		if checkKey(key) != nil {
			return
		}
		to, err := tmpl.expand(base, "t", key)
		if err != nil {
			t.Fatalf("%q: %v", key, err)
		}
		segments := strings.Split(to.url.RequestURI(), "/")
		if len(segments) != 5 || strings.ContainsAny(segments[3], "?#;\\ ") {
			t.Fatalf("%q: %q", key, segments)
		}
		if back, err := url.PathUnescape(segments[3]); err != nil || back != key || !strings.HasSuffix(to.url.EscapedPath(), to.tail) {
			t.Fatalf("%q came back as %q, %v", key, back, err)
		}
	})
}

func discardLogger() *slog.Logger { return slog.New(slog.DiscardHandler) }

// whole maps every document to itself.
type whole struct{}

func (whole) Map(doc []byte) (string, []byte, uint64, bool, error) { return "", doc, 0, false, nil }
