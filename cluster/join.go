package cluster

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// keepJoining makes a round of attempts, again and again until ctx ends. The
// attempts of the last one end when the transport is shut down.
func (c *Cluster) keepJoining(ctx context.Context, join joiner, attempts *sync.WaitGroup) {
	defer time.AfterFunc(settledAfter, c.rejoin.settle).Stop()
	tell := &teller{log: c.log}
	for {
		wait := c.round(ctx, join, attempts, tell)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-c.rejoin.now:
			// Not at once: what was lost together is contacted together.
			pause(ctx, gossipInterval)
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// round contacts whom there is to contact, and returns the wait until the next.
func (c *Cluster) round(ctx context.Context, join joiner, attempts *sync.WaitGroup, tell *teller) time.Duration {
	wide, besides, contests := c.rejoin.begun()
	targets, unresolved := c.targets(ctx, wide, besides)
	reached, err := c.contact(ctx, join, attempts, targets)
	if ctx.Err() != nil {
		return 0
	}
	tell.round(len(c.cfg.Join) > 0, reached, errors.Join(unresolved, err))
	c.tried()
	failed := len(targets) - reached
	if unresolved != nil {
		failed++
	}
	return c.rejoin.ended(reached, failed, contests, c.cfg.RejoinInterval)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// joiner is memberlist's Join for one address.
type joiner func(at []string) (int, error)

// contact tries all targets, mostAtOnce at a time, and returns how many were
// reached and why one of the others was not.
func (c *Cluster) contact(ctx context.Context, join joiner, attempts *sync.WaitGroup, targets []netip.AddrPort) (reached int, last error) {
	results := make(chan error, len(targets))
	slots := make(chan struct{}, mostAtOnce)
	for _, at := range targets {
		attempts.Go(func() {
			select {
			case slots <- struct{}{}:
				results <- c.attempt(join, at)
				<-slots
			case <-ctx.Done():
			}
		})
	}
	for range targets {
		select {
		case err := <-results:
			if err == nil {
				reached++
			} else {
				last = err
			}
		case <-ctx.Done():
			return reached, last
		}
	}
	return reached, last
}

func (c *Cluster) attempt(join joiner, at netip.AddrPort) error {
	_, err := join([]string{at.String()})
	outcome := joinReached
	switch {
	case err != nil && strings.Contains(err.Error(), ErrIncompatible.Error()):
		outcome = joinRefused
	case err != nil:
		outcome = joinUnreachable
	}
	c.metrics.joins.WithLabelValues(outcome).Inc()
	return err
}

// teller logs when joining begins or ceases to work, not each round.
type teller struct {
	log            *slog.Logger
	joined, warned bool
}

func (t *teller) round(seeds bool, reached int, err error) {
	switch {
	case !seeds:
	case reached > 0 && !t.joined:
		t.log.Info("cluster joined", "reached", reached)
		t.joined, t.warned = true, false
	case reached == 0 && err != nil && !t.joined && !t.warned:
		t.log.Warn("no seed reached yet; trying on", "err", excerpt(err.Error()))
		t.warned = true
	}
}
