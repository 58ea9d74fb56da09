package cache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

func TestMaxAge(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.put("cost", "a", doc("2.5", 1))
		b.want(b.cost, "a", "2.5 fresh origin")
		b.live(10 * time.Second)
		b.wantWith(b.cost, "a", ReadOptions{HasMaxAge: true, MaxAge: 10 * time.Second}, "2.5 fresh memory")
		b.wantWith(b.cost, "a", ReadOptions{HasMaxAge: true, MaxAge: 9 * time.Second}, "2.5 fresh origin")
		b.wantWith(b.cost, "a", ReadOptions{HasMaxAge: true}, "2.5 fresh origin")
		b.wantWith(b.cost, "a", ReadOptions{HasMaxAge: true}, "2.5 fresh origin")
		if n := b.origin.count("cost", "a"); n != 4 {
			b.Errorf("%d origin reads, want 4", n)
		}
	})
}

func TestMaxAgeJoinsNoOlderFlight(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.delay(100 * time.Millisecond)
		b.origin.put("cost", "a", doc("1", 1))
		var waiting sync.WaitGroup
		waiting.Go(func() { b.want(b.cost, "a", "1 fresh origin") })
		time.Sleep(time.Millisecond)
		for i := range 50 { // each must see what was there when it arrived
			waiting.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				v := uint64(i + 2)
				b.origin.put("cost", "a", doc(fmt.Sprint(v), v))
				a, err := b.read(b.cost, "a", ReadOptions{HasMaxAge: true})
				if err != nil || a.Version < v {
					b.Errorf("read after version %d was committed: %d, %v", v, a.Version, err)
				}
			})
		}
		waiting.Wait()
		if n := b.origin.count("cost", "a"); n > 6 {
			b.Errorf("%d origin reads for 51 readers: want them shared", n)
		}
	})
}

func TestMinVersionAndPosition(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.put("cost", "a", doc("2.5", 5))
		a, err := b.read(b.cost, "a", ReadOptions{})
		if err != nil {
			b.Fatal(err)
		}
		b.live(time.Second)
		b.wantWith(b.cost, "a", ReadOptions{MinVersion: 5, Position: a.Position, Settled: a.Settled}, "2.5 fresh memory")
		b.wantWith(b.cost, "a", ReadOptions{Position: a.Position + 1, Settled: a.Settled + 1}, "2.5 fresh origin")
		b.wantWith(b.cost, "a", ReadOptions{MinVersion: 6}, "*errors.errorString")
		b.origin.put("cost", "a", doc("3", 6))
		b.wantWith(b.cost, "a", ReadOptions{MinVersion: 6}, "3 fresh origin")
	})
}

func TestWaiterHonoursItsContext(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.delay(time.Second)
		b.origin.put("cost", "a", doc("2.5", 1))
		done := make(chan struct{})
		ctx, cancel := context.WithTimeout(b.Context(), 10*time.Millisecond)
		defer cancel()
		go func() {
			defer close(done)
			b.want(b.cost, "a", "2.5 fresh origin") // the other waiter is not disturbed
		}()
		begin := time.Now()
		if _, err := b.tenant.Read(ctx, b.cost, "a", ReadOptions{}); !errors.Is(err, ctx.Err()) || time.Since(begin) != 10*time.Millisecond {
			b.Errorf("%v after %v", err, time.Since(begin))
		}
		<-done
	})
}

func TestHangingOriginEndsWithTheFillTimeout(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.delay(time.Hour)
		begin := time.Now()
		b.want(b.cost, "a", "*cache.UnavailableError")
		if d := time.Since(begin); d != defaultFillTimeout {
			b.Errorf("it took %v", d)
		}
	})
}
