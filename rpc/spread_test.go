package rpc

import (
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestSpreadRunsQuickWorkInline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := runtime.NumGoroutine()
		calls := make([]int, 1000)
		spread(len(calls), func(i int) {
			calls[i]++ // without a lock: the race detector watches
			if n := runtime.NumGoroutine(); n > before {
				t.Errorf("%d goroutines more", n-before)
			}
		})
		for i, n := range calls {
			if n != 1 {
				t.Fatalf("%d was called %d times", i, n)
			}
		}
	})
}

func TestSpreadBoundsSlowWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most, calls atomic.Int64
		start := time.Now()
		spread(100, func(int) {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(50 * time.Millisecond)
			now.Add(-1)
			calls.Add(1)
		})
		if calls.Load() != 100 || now.Load() != 0 {
			t.Errorf("%d calls, %d still running", calls.Load(), now.Load())
		}
		if most.Load() > spreadWidth {
			t.Errorf("%d at the same time", most.Load())
		}
		if took := time.Since(start); took > 210*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

func TestSpreadOfNothing(t *testing.T) {
	spread(0, func(int) { t.Error("called") })
}
