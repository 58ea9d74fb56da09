package ring

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func newShared(t testing.TB) *Shared {
	s, err := NewShared(Settings{Partitions: 101, VirtualNodes: 10, Load: 1.25, Replicas: 2})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *Shared) mustRing(t testing.TB, members []Member) *Ring {
	r, err := s.Ring(t.Context(), members)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// All that ask at once get the one ring that is built.
func TestSharedBuildsOnce(t *testing.T) {
	s := newShared(t)
	rings := make([]*Ring, 200)
	var asking sync.WaitGroup
	for i := range rings {
		asking.Go(func() { rings[i], _ = s.Ring(t.Context(), nodes(5)) })
	}
	asking.Wait()
	for _, r := range rings {
		if r == nil || r != rings[0] {
			t.Fatal("two asked and got two rings")
		}
	}
	sameRing(t, rings[0], scratch(t, s.settings, nodes(5)))
}

// The last eight rings asked for are kept.
func TestSharedKeepsTheLast(t *testing.T) {
	s := newShared(t)
	first, second := s.mustRing(t, nodes(1)), s.mustRing(t, nodes(2))
	for n := 3; n <= keptRings; n++ {
		s.mustRing(t, nodes(n))
	}
	if s.mustRing(t, nodes(1)) != first {
		t.Error("the first of eight is not kept")
	}
	s.mustRing(t, nodes(20))
	if s.mustRing(t, nodes(1)) != first {
		t.Error("one that was asked for lately is not kept")
	}
	if s.mustRing(t, nodes(2)) == second || len(s.kept) != keptRings {
		t.Errorf("%d rings are kept, among them one of nine", len(s.kept))
	}
}

// Who waits for a turn leaves when its context ends, and harms nobody.
func TestSharedHonoursItsCallersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared(t)
		s.turn <- struct{}{} // somebody builds
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		if _, err := s.Ring(ctx, nodes(3)); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Second {
			t.Errorf("%v after %v, want the end of its context after 1 s", err, time.Since(begun))
		}
		var waiting sync.WaitGroup
		for range 3 {
			waiting.Go(func() { s.mustRing(t, nodes(3)) })
		}
		synctest.Wait()
		<-s.turn
		waiting.Wait()
		if r, err := s.Ring(ctx, nodes(3)); err != nil || len(r.Members()) != 3 {
			t.Errorf("%v for a ring that is kept", err)
		}
	})
}
