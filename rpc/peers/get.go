package peers

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/shard"
)

// Answer is what another node answered a read with.
type Answer struct {
	// Result has freshness, which is not 0, beside value or absence, or another error,
	// as the caller is to see them.
	Result *tenantryv1.BatchGetResult
	// Node is who answered, Epoch that of its ring.
	Node  string
	Epoch uint64
	// Took is the time between question and answer, by which the value may be
	// older than its age says.
	Took time.Duration
}

// ErrNoOwner says that no owner has an answer: the caller reads the origin itself.
var ErrNoOwner = errors.New("no owner of the tenant answers")

// Get asks the owners, in their order, for a read. An error is [ErrNoOwner], or
// that of ctx.
func (p *Peers) Get(ctx context.Context, owners []shard.Peer, read *tenantryv1.PeerRead) (Answer, error) {
	p.budget.earn()
	r := race{Peers: p, ctx: ctx, read: read, lanes: p.upFirst(owners)}
	// Each owner is asked at most twice: from memory, and to wait.
	r.outcomes = make(chan outcome, 2*len(r.lanes))
	a, err := r.run()
	p.metrics.forwarded(a, err, r.hedged)
	return a, err
}

// upFirst returns the lanes to the owners that are not known to be down, in their
// order: the others would only be waited for.
func (p *Peers) upFirst(owners []shard.Peer) []*lane {
	lanes := make([]*lane, 0, len(owners))
	for i := range owners {
		if l := p.lane(&owners[i]); l.health.up() {
			lanes = append(lanes, l)
		}
	}
	return lanes
}

// race is one read, asked of one owner after another.
type race struct {
	*Peers
	ctx      context.Context //nolint:containedctx // of one call
	read     *tenantryv1.PeerRead
	lanes    []*lane
	next     int
	pending  int
	outcomes chan outcome
	hedged   bool
	patience *time.Timer        // until the next owner is asked as well
	origin   context.Context    //nolint:containedctx // of the calls that wait; nil: there are none
	give     context.CancelFunc // gives them up
	word     Answer             // of an owner that has no answer that it may give now
}

func (r *race) run() (Answer, error) {
	if !r.start() {
		return Answer{}, ErrNoOwner
	}
	defer func() {
		if r.give != nil {
			r.give()
		}
	}()
	r.patience = time.NewTimer(r.lanes[0].health.hedge())
	defer r.patience.Stop()
	for r.pending > 0 {
		select {
		case o := <-r.outcomes:
			r.pending--
			if r.take(&o) {
				return o.answer, nil
			}
		case <-r.patience.C:
			r.hedge()
		case <-r.ctx.Done():
			return Answer{}, r.ctx.Err()
		}
	}
	if r.word.Result != nil {
		return r.word, nil
	}
	return Answer{}, ErrNoOwner
}

// start asks the next owner, if there is one.
func (r *race) start() bool {
	if r.next == len(r.lanes) {
		return false
	}
	r.lanes[r.next].recall(question{r.read, r.next, r.outcomes})
	r.next++
	r.pending++
	return true
}

// hedge asks the next owner although another may still answer. A read that waits for
// an origin, which may be out of that owner's reach alone, is hedged later if the
// budget has nothing left now.
func (r *race) hedge() {
	switch {
	case r.next == len(r.lanes):
	case r.budget.spend():
		r.hedged = true
		r.start()
	case r.origin != nil:
		r.patience.Reset(minWaitHedge)
	}
}

// take reports whether an outcome is the answer. If it is none, the next owner is
// asked; one that reads the origin is waited for.
func (r *race) take(o *outcome) bool {
	switch {
	case o.deferred:
		r.await(o.from)
		return false
	case o.err != nil:
		r.metrics.failed(o.err)
	case !passing(o.answer.Result.GetError()):
		return true
	case r.word.Result == nil:
		r.word = o.answer
	}
	r.start()
	return false
}

// await asks an owner to read the origin.
func (r *race) await(owner int) {
	if r.origin == nil {
		r.origin, r.give = context.WithCancel(r.ctx)
	}
	l := r.lanes[owner]
	l.wait(r.origin, question{r.read, owner, r.outcomes})
	r.pending++
	r.patience.Reset(l.health.waitHedge())
}

// passing says that another owner may have an answer where one has none.
func passing(e *tenantryv1.BatchGetError) bool {
	switch e.GetCode() {
	case connect.CodeUnavailable.String(), connect.CodeInternal.String(), connect.CodeUnknown.String(),
		connect.CodeCanceled.String(), connect.CodeDeadlineExceeded.String():
		return true
	}
	return false
}
