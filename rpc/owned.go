package rpc

import (
	"context"
	"time"

	"github.com/tenantry/tenantry/cache"
)

// patience is how long an owner waits for its own read of the origin before it asks
// another owner as well: most take less, and one whose way to the origin is lost would
// wait in vain.
const patience = 400 * time.Millisecond

// owned reads an entry from this node, an owner. If it has nothing that may be
// answered, or not soon enough, another owner may: one that keeps it, or that reaches
// the origin. What was forwarded is not forwarded again (C8), here and in elsewhere.
func (r *reader) owned(ctx context.Context, e entry, l *limits) (found, error) {
	o, err := r.options(e, l)
	if err != nil {
		return found{}, err
	}
	if f, ok, err := r.held(ctx, e, &o); ok || err != nil {
		return f, err
	}
	if isForwarded(ctx) || len(r.node.Others(e.tenant)) == 0 {
		return r.origin(ctx, e, &o)
	}
	p := &pair{reader: r, entry: e, limits: l, options: &o, outcomes: make(chan outcome, 2)}
	return p.run(ctx)
}

// pair is a read of the origin by this node, an owner, and by another.
type pair struct {
	*reader
	entry    entry
	limits   *limits
	options  *cache.ReadOptions
	outcomes chan outcome // has room for both
	pending  int
	asked    bool // the other owners
	word     outcome
}

// outcome is what came of a read.
type outcome struct {
	found
	err error
	own bool
}

// run returns the first answer; if neither read has one, this node's error.
func (p *pair) run(ctx context.Context) (found, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.start(true, func() (found, error) { return p.origin(ctx, p.entry, p.options) })
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for p.pending > 0 {
		select {
		case out := <-p.outcomes:
			p.pending--
			if out.err == nil || out.own && !isUnavailable(out.err) {
				return out.found, out.err
			}
			if out.own || p.word.err == nil {
				p.word = out
			}
			p.ask(ctx)
		case <-timer.C:
			p.ask(ctx)
		}
	}
	return p.word.found, p.word.err
}

// ask asks the other owners, once.
func (p *pair) ask(ctx context.Context) {
	if !p.asked {
		p.asked = true
		p.start(false, func() (found, error) { return p.reader.asked(ctx, p.entry, p.limits) })
	}
}

func (p *pair) start(own bool, read func() (found, error)) {
	p.pending++
	go func() {
		defer p.caught(func(err error) { p.outcomes <- outcome{err: err, own: own} })
		f, err := read()
		p.outcomes <- outcome{f, err, own}
	}()
}
