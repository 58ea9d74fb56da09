package shard

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// pacer lets at most so many pass each second, none of them together. The gaps
// have a jitter, so that nodes that began together do not stay in step.
type pacer struct {
	gap time.Duration

	mu   sync.Mutex
	next time.Time
}

func newPacer(perSecond int) *pacer { return &pacer{gap: time.Second / time.Duration(perSecond)} }

// wait returns when it is the caller's turn; an error is that of ctx.
func (p *pacer) wait(ctx context.Context) error {
	timer := time.NewTimer(time.Until(p.turn(time.Now())))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// turn returns when the next may pass. A gap is up to a fifth longer than the rate
// asks for: never shorter.
func (p *pacer) turn(now time.Time) (at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at = p.next; at.Before(now) {
		at = now
	}
	p.next = at.Add(p.gap + rand.N(p.gap/5+1))
	return at
}
