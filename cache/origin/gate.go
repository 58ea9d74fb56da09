package origin

import (
	"context"
	"errors"
	"sync/atomic"
)

var errQueueFull = errors.New("too many reads wait for the origin")

// gate bounds the reads in flight and those that wait for them. Waiters are
// served in the order in which they came.
type gate struct {
	slots      chan struct{}
	waiting    atomic.Int64
	maxWaiting int64
}

func newGate(slots, maxWaiting int) *gate {
	return &gate{slots: make(chan struct{}, slots), maxWaiting: int64(maxWaiting)}
}

// enter waits for a slot until ctx ends; errQueueFull comes at once.
func (g *gate) enter(ctx context.Context) error {
	select {
	case g.slots <- struct{}{}:
		return nil
	default:
	}
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) > g.maxWaiting {
		return errQueueFull
	}
	select {
	case g.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (g *gate) leave() { <-g.slots }
