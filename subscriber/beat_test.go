package subscriber

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestBeatNotBack(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
		time.Sleep(1500 * time.Millisecond)
		b.set(func() { b.loseBeats = true })
		time.Sleep(4 * time.Second)
		if r.count("doubt beat") != 1 {
			t.Errorf("told %q, want one doubt", r.take())
		}
	})
}

// A server that answers PINGs and passes nothing on is doubted within the time that
// a proof holds, whenever it begins: the PONGs prove until then.
func TestLostBeatsAreNoticedInTime(t *testing.T) {
	for _, cfg := range []Config{{}, {Heartbeat: 10 * time.Second, ProofTTL: 20 * time.Second}, {Heartbeat: 100 * time.Millisecond, ProofTTL: 300 * time.Millisecond}} {
		for step := range 8 {
			bubble(t, cfg, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
				time.Sleep(3*s.cfg.Heartbeat + time.Duration(step)*s.cfg.Heartbeat/8)
				synctest.Wait()
				b.set(func() { b.loseBeats = true })
				time.Sleep(s.cfg.ProofTTL + watchInterval + time.Millisecond)
				synctest.Wait()
				if r.count("doubt beat") < 1 {
					t.Errorf("heartbeat %v, lost %d eighths after a beat: not doubted in time", s.cfg.Heartbeat, step)
				}
			})
		}
	}
}

func TestBeatErrorsAreNotExpectedBack(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
		b.set(func() { b.publishErr = errors.New("time-out") })
		time.Sleep(time.Minute)
		want(t, r, "proof")
		b.set(func() { b.publishErr = nopermError{} })
		time.Sleep(2 * time.Second)
		if got := testutil.ToFloat64(s.metrics.beats); got != 0 || !s.beatsOff.Load() {
			t.Errorf("beats gauge %v, want 0 after NOPERM", got)
		}
		b.set(func() { b.publishErr = nil; b.loseBeats = true })
		time.Sleep(time.Minute)
		want(t, r, "proof")
	})
}

// nopermError is what go-redis returns for -NOPERM.
type nopermError struct{}

func (nopermError) Error() string { return "NOPERM this user has no permissions" }
func (nopermError) RedisError()   {}
