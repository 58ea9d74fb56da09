package rpc

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// spreadAfter is how long a batch runs on its own goroutine alone. A
	// thousand reads from memory take less; whoever needs longer waits for the
	// origin.
	spreadAfter = time.Millisecond
	// spreadWidth bounds the reads of one batch that wait at the same time.
	spreadWidth = 32
)

// spread calls f for 0 to n-1 and returns when all calls have: on this
// goroutine alone if they are quick, with helpers if they are not.
func spread(n int, f func(int)) {
	var next atomic.Int64
	work := func() {
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			f(i)
		}
	}
	if n < 2 {
		work()
		return
	}
	var helpers sync.WaitGroup
	helpers.Add(1) // for the timer
	timer := time.AfterFunc(spreadAfter, func() {
		defer helpers.Done()
		for range min(spreadWidth-1, n-int(min(next.Load(), int64(n)))) {
			helpers.Go(work)
		}
	})
	work()
	if timer.Stop() {
		helpers.Done()
	}
	helpers.Wait()
}

// togetherWidth bounds the reads of one batch that are forwarded at the same time.
const togetherWidth = 256

// together calls f for 0 to n-1, all at once, and returns when all calls have.
func together(n int, f func(int)) {
	var g errgroup.Group
	g.SetLimit(togetherWidth)
	for i := range n {
		g.Go(func() error { f(i); return nil })
	}
	_ = g.Wait()
}
