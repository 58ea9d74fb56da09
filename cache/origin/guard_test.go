package origin

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantry/tenantry/cache"
)

var (
	reached = progress{connected: true}
	replied = progress{connected: true, answered: true}
	hung    = fault(reasonTimeout, "%w", errTimeout)
	refusal = fault(reasonConnect, "refused")
	status  = func(n int) error { return fault(reasonStatus, "%w", statusError(n)) }
)

// do does a read of the family with the result, and says whether it was let
// through.
func (g *guard) do(f family, sign progress, err error) bool {
	p, d := g.begin(f)
	if d == 0 {
		g.end(p, sign, err)
	}
	return d == 0
}

func TestFamilyBreaker(t *testing.T) {
	for name, tt := range map[string]struct {
		sign  progress
		err   error
		opens bool
	}{
		"hangs":         {reached, hung, true},
		"hangs in body": {replied, hung, true},
		"torn":          {replied, fault(reasonConnect, "%w", io.ErrUnexpectedEOF), true},
		"500":           {replied, status(500), true},
		"503":           {replied, status(503), true},
		"429":           {replied, fault(reasonThrottled, "%w", statusError(429)), true},
		"401":           {replied, status(401), false},
		"404":           {replied, status(404), false},
		"absent":        {replied, cache.ErrAbsent, false},
		"not modified":  {replied, cache.ErrNotModified, false},
		"malformed":     {replied, fault(reasonMalformed, "x"), false},
		"oversized":     {replied, fault(reasonOversized, "x"), false},
		"canceled":      {reached, fault(reasonCanceled, "x"), false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, f := newGuard(), family{tenant: "a"}
				others := []family{{tenant: "b"}, {tenant: "a", kind: 1}, {tenant: "a", list: true}}
				for range 50 {
					g.do(f, tt.sign, tt.err)
				}
				if d := g.wait(f); d > 0 != tt.opens || d > familyDelay*12/10 {
					t.Errorf("wait %v", d)
				}
				for _, other := range others {
					if d := g.wait(other); d != 0 {
						t.Errorf("%v must wait %v", other, d)
					}
				}
				if n := len(g.families); n > 1 {
					t.Errorf("%d families", n)
				}
			})
		})
	}
}

// A family where most reads answer stays closed.
func TestFamilyBreakerNeedsHalf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, f := newGuard(), family{tenant: "a"}
		for i := range 100 {
			var err error
			if i%5 < 2 {
				err = status(500)
			}
			if !g.do(f, replied, err) {
				t.Fatalf("open at read %d", i)
			}
		}
	})
}

// One probe in each delay, though the one before hangs; its success closes, and
// the failures are forgotten.
func TestFamilyProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, f := newGuard(), family{tenant: "a"}
		late, _ := g.begin(f)
		for range familyFailures {
			g.do(f, replied, hung)
		}
		var last permit
		for range 10 {
			time.Sleep(familyDelay * 12 / 10)
			p, d := g.begin(f)
			if d != 0 || !p.probe {
				t.Fatalf("%+v, wait %v", p, d)
			}
			if d := g.wait(f); d < familyDelay*8/10 {
				t.Fatalf("a second probe after %v", d)
			}
			g.end(p, replied, hung)
			last = p
		}
		if g.end(late, replied, nil); g.wait(f) == 0 {
			t.Error("a read from before closed it")
		}
		if g.end(last, replied, nil); g.wait(f) != 0 {
			t.Error("a probe's success did not close it")
		}
		for range familyFailures - 1 {
			g.do(f, replied, hung)
		}
		if g.wait(f) != 0 {
			t.Error("old failures count")
		}
		time.Sleep(familyMemory + time.Second)
		if g.wait(f); len(g.families) != 0 || g.recent.Len() != 0 {
			t.Errorf("%d families are remembered", len(g.families))
		}
	})
}

func TestRetryAfterSilences(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, f := newGuard(), family{tenant: "a"}
		g.do(f, replied, &cache.FaultError{Reason: reasonThrottled, RetryAfter: 30 * time.Second, Err: statusError(429)})
		time.Sleep(20 * time.Second)
		if d := g.wait(f); d != 10*time.Second {
			t.Errorf("wait %v", d)
		}
		if d := g.wait(family{tenant: "b"}); d != 0 {
			t.Errorf("another tenant waits %v", d)
		}
		if time.Sleep(10 * time.Second); !g.do(f, replied, nil) {
			t.Error("still silent")
		}
	})
}

func TestFamiliesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard()
		for i := range 3 * maxFamilies {
			f := family{tenant: fmt.Sprint(i), kind: i % 10}
			g.do(f, replied, nil)
			g.do(f, replied, status(500))
		}
		if len(g.families) != maxFamilies || g.recent.Len() != maxFamilies {
			t.Errorf("%d families", len(g.families))
		}
		time.Sleep(familyMemory + time.Second)
		if g.wait(family{}); len(g.families) != 0 {
			t.Errorf("%d families are remembered", len(g.families))
		}
	})
}

// What cannot be connected is open for all after a few reads, and well again
// soon after the first answer.
func TestHostBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard()
		for i := range hostFailures {
			if !g.do(family{tenant: fmt.Sprint(i)}, progress{}, refusal) {
				t.Fatal("open too early")
			}
		}
		stranger := family{tenant: "stranger"}
		if d := g.wait(stranger); d == 0 || d > hostDelay*12/10 {
			t.Errorf("wait %v", d)
		}
		time.Sleep(hostDelay * 12 / 10)
		if !g.do(stranger, progress{}, refusal) || g.wait(stranger) == 0 {
			t.Error("not one probe")
		}
		time.Sleep(hostDelay * 12 / 10)
		if !g.do(stranger, replied, status(404)) || g.wait(family{tenant: "x"}) != 0 {
			t.Error("not closed by an answer")
		}
	})
}

// However many of one tenant's paths hang, nobody else waits.
func TestHostSurvivesATenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard()
		for kind := range 1000 {
			g.do(family{tenant: "a", kind: kind}, reached, hung)
		}
		if g.host.breaker.IsOpen() {
			t.Error("open")
		}
	})
}

// Where several hang and nobody is answered, it is taken for the origin; those
// that have not hung find out, a few at a time.
func TestFrozenHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard()
		for i := range hostFailures {
			g.do(family{tenant: fmt.Sprint(i)}, reached, hung)
		}
		if g.wait(family{tenant: "0", kind: 1}) == 0 {
			t.Error("closed for one that hung")
		}
		var strangers []permit
		for i := range 100 {
			if p, d := g.begin(family{tenant: fmt.Sprint("s", i)}); d == 0 {
				strangers = append(strangers, p)
			}
		}
		if len(strangers) != maxStrangers {
			t.Fatalf("%d strangers at once", len(strangers))
		}
		for _, p := range strangers {
			g.end(p, reached, hung)
		}
		for i := range 10_000 {
			g.do(family{tenant: fmt.Sprint("t", i)}, reached, hung)
		}
		if n := len(g.host.suspects); n != maxSuspects {
			t.Errorf("%d suspects", n)
		}
		if g.wait(family{tenant: "fresh"}) == 0 {
			t.Error("after so many, one more stranger is let through")
		}
		time.Sleep(hostDelay * 12 / 10)
		if !g.do(family{tenant: "fresh"}, replied, nil) || g.wait(family{tenant: "t9"}) != 0 || len(g.host.suspects) != 0 || g.host.strangers != 0 {
			t.Errorf("not closed by an answer: %+v", g.host)
		}
	})
}

// A stranger whose own paths are well closes what the others' opened.
func TestStrangerClosesHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard()
		for i := range hostFailures {
			g.do(family{tenant: fmt.Sprint(i)}, reached, hung)
		}
		if !g.do(family{tenant: "well"}, replied, nil) || g.host.breaker.IsOpen() {
			t.Error("open")
		}
	})
}

func TestVerdictOfABriefRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &visit{reader: &Reader{cfg: Config{Timeout: 2 * time.Second}}, began: time.Now()}
		time.Sleep(500 * time.Millisecond)
		if got := outcome(v.verdict(hung)); got != reasonCanceled {
			t.Errorf("a read that had only the queue's rest of the time: %s", got)
		}
		time.Sleep(time.Second)
		if got := v.verdict(hung); !errors.Is(got, hung) {
			t.Error(got)
		}
	})
}

func BenchmarkOpenHost(b *testing.B) {
	g := newGuard()
	for i := range hostFailures {
		g.do(family{tenant: fmt.Sprint(i)}, progress{}, refusal)
	}
	for b.Loop() {
		g.wait(family{tenant: "a"})
	}
}
