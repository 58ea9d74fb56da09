package origin

import (
	"context"
	"errors"
	"time"

	"github.com/tenantry/tenantry/cache"
)

// visit is a read that may go to the origin: it has a slot and a permit.
type visit struct {
	reader *Reader
	gate   *gate
	kind   string
	permit permit
	began  time.Time
	// sign is how far the read's last try came.
	sign progress
}

// enter waits for a slot. It asks the guard before the wait, for an answer at
// once, and after it, for much may have failed meanwhile.
func (r *Reader) enter(ctx context.Context, g *gate, kind string, f family) (visit, error) {
	if d := r.guard.wait(f); d > 0 {
		return visit{}, r.closed(kind, d)
	}
	if err := g.enter(ctx, f.tenant, max(r.cfg.TenantConcurrency(f.tenant), 1)); err != nil {
		r.metrics.notSent(kind)
		return visit{}, notEntered(ctx, err)
	}
	p, d := r.guard.begin(f)
	if d > 0 {
		g.leave(f.tenant)
		return visit{}, r.closed(kind, d)
	}
	return visit{reader: r, gate: g, kind: kind, permit: p, began: time.Now()}, nil
}

var errOpen = errors.New("not asked, since it does not answer such reads or asked for a pause")

func (r *Reader) closed(kind string, wait time.Duration) error {
	r.metrics.open(kind)
	return &cache.FaultError{Reason: reasonOpen, RetryAfter: wait, Err: errOpen}
}

// notEntered is the fault of a read that found no slot: the caller gave up, or
// there are too many reads.
func notEntered(ctx context.Context, err error) error {
	if errors.Is(err, errQueueFull) || errors.Is(err, errTimeout) {
		return fault(reasonThrottled, "%w", errQueueFull)
	}
	return judge(ctx, err)
}

// end gives the slot and the permit back.
func (v *visit) end(ctx context.Context, err error) {
	r := v.reader
	v.gate.leave(v.permit.family.tenant)
	before, after := r.guard.end(v.permit, v.sign, v.verdict(err))
	switch {
	case !before && after:
		r.logger.WarnContext(ctx, "origin does not answer", "error", err)
	case before && !after:
		r.logger.InfoContext(ctx, "origin answers again")
	}
	if f, ok := errors.AsType[*cache.FaultError](err); ok {
		r.logger.DebugContext(ctx, "origin read failed", "tenant", v.permit.family.tenant, "kind", v.kind, "reason", f.Reason, "error", f.Err)
	}
}

// verdict is what the guard hears. A read that spent most of its time in the
// queue has not shown that the origin hangs.
func (v *visit) verdict(err error) error {
	if outcome(err) == reasonTimeout && time.Since(v.began) < v.reader.cfg.Timeout/2 {
		return fault(reasonCanceled, "%w", errTimeout)
	}
	return err
}
