package peers

import (
	"context"
	"time"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
)

// wait asks for an answer that needs the origin, in a call of its own. It ends with
// ctx, or when the node does not answer pings.
func (l *lane) wait(ctx context.Context, q question) {
	if !l.run(func() { q.to <- l.waited(ctx, q) }) {
		q.to <- outcome{from: q.from, err: errEnded}
	}
}

func (l *lane) waited(ctx context.Context, q question) outcome {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()
	down := l.watch()
	defer l.unwatch()
	defer context.AfterFunc(down, cancel)()
	start := time.Now()
	res, err := l.client.Get(ctx, &tenantryv1.PeerServiceGetRequest{
		Node: l.cfg.Self, Epoch: l.cfg.Epoch(), Reads: []*tenantryv1.PeerRead{q.read},
	})
	switch {
	case err != nil && down.Err() != nil:
		return outcome{from: q.from, err: errDown}
	case err != nil:
		return outcome{from: q.from, err: err}
	case len(res.GetResults()) != 1:
		return outcome{from: q.from, err: errAnswer}
	}
	o := l.outcome(q.from, res, 0, time.Since(start))
	switch {
	case o.deferred:
		o = outcome{from: q.from, err: errAnswer}
	case o.err == nil && !passing(o.answer.Result.GetError()):
		l.health.waited(o.answer.Took)
	}
	return o
}
