package subscriber

import (
	"context"
	"fmt"
	"time"
)

// handle takes the items out of the queue, in order, until the life has ended
// and everything that came before is handled, or until parent ends.
func (l *life) handle(parent, ctx context.Context) {
	for {
		batch, open := l.queue.take()
		for i := range batch {
			if parent.Err() != nil {
				break
			}
			l.one(ctx, &batch[i])
		}
		l.repeat(ctx)
		l.gaps(ctx)
		if len(batch) > 0 {
			continue
		}
		if !open {
			return
		}
		l.idle()
	}
}

// idle waits for the reader, which also pokes when it ends, or until a missing
// number is due.
func (l *life) idle() {
	due, ok := l.sequences.due()
	if !ok {
		<-l.wake
		return
	}
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-l.wake:
	case <-timer.C:
	}
}

// gaps tells of the numbers that did not come in time. The fence that waits for them
// holds then.
func (l *life) gaps(ctx context.Context) {
	if _, waiting := l.sequences.due(); waiting {
		now := time.Now()
		for at, ok := l.sequences.overdue(now); ok; at, ok = l.sequences.overdue(now) {
			l.gap(at)
		}
	}
	if l.parked != nil && ctx.Err() == nil && (!l.sequences.open() || !time.Now().Before(l.parkedUntil)) {
		l.fences.held(l.parked)
		l.parked = nil
	}
}

func (l *life) gap(at place) {
	l.refused.gap(at.tenant, at.topic)
	l.handler.Gap(at.tenant, at.topic)
}

// one handles an item. Once the life is lost only events are: they still say
// what they say, and the doubt comes after them.
func (l *life) one(ctx context.Context, i *item) {
	l.heard = true
	switch lost := ctx.Err() != nil; {
	case i.what == itemMessage:
		l.metrics.messages.Inc()
		l.event(i)
	case i.what == itemOversized:
		l.oversized(i)
	case i.what == itemGap:
		l.sequences.forgetAll() // a jump across a doubt is no second one
		l.handler.Doubt(l.id, CauseOverflow)
	case lost:
	case i.what == itemPong:
		l.pong(i.payload)
	case i.what == itemBeat:
		l.beaten(i.payload)
	default:
		l.reply(i)
	}
}

func (l *life) event(i *item) {
	tenant, topic, ok := parseChannel(l.prefix, i.channel)
	if !ok || !l.roster.follows(tenant) {
		return
	}
	e, err := decode(tenant, topic, i.payload, l.kinds)
	if err != nil {
		l.refuse(tenant, topic, err)
		return
	}
	l.handler.Event(e)
	// Whatever the number says, the event is applied, and before the doubt.
	if !l.sequences.take(e, time.Now) {
		l.gap(place{tenant, topic})
	}
}

func (l *life) oversized(i *item) {
	if tenant, topic, ok := parseChannel(l.prefix, i.channel); ok && l.roster.follows(tenant) {
		l.refuse(tenant, topic, &RefusedError{Reason: "oversized", Detail: fmt.Sprintf("%d bytes", i.size)})
	}
}

func (l *life) refuse(tenant, topic string, err *RefusedError) {
	l.sequences.forget(place{tenant, topic}) // whatever number it had
	l.refused.log(tenant, topic, err)
	l.handler.Refused(tenant, topic, err)
}

// reply counts a subscription reply.
func (l *life) reply(i *item) {
	l.replies++
	if i.what == itemSubscribed {
		l.channels.Add(1)
	} else {
		l.channels.Add(-1)
	}
	if i.channel == l.beatChannel {
		if !l.beatState.CompareAndSwap(beatAsked, beatSubscribed) {
			l.lose(CauseReconnect, errUnasked)
		}
		return
	}
	tenant, topic, _ := parseChannel(l.prefix, i.channel)
	l.sequences.forget(place{tenant, topic})
	confirmed, asked := l.roster.reply(tenant)
	if !asked {
		l.lose(CauseReconnect, errUnasked)
	}
	if confirmed {
		l.confirm(tenant)
	}
}

// repeat tells again of the confirmed tenants that were followed anew.
func (l *life) repeat(ctx context.Context) {
	for ctx.Err() == nil {
		tenant, ok := l.roster.repeated()
		if !ok {
			return
		}
		l.confirm(tenant)
	}
}

// confirm tells of a confirmed tenant. With the last one that proofs wait for,
// it asks for a proof at once.
func (l *life) confirm(tenant string) {
	for _, topic := range l.topics {
		l.sequences.forget(place{tenant, topic})
	}
	l.handler.Confirmed(l.id, tenant)
	l.roster.told()
	if !l.proven && l.roster.settled() {
		poke(l.ping)
	}
}

// pong handles a PING's return. The server answers in order, so the replies to
// what was written before it must have come.
func (l *life) pong(token string) {
	p, ok := l.pings.take(token)
	switch {
	case !ok:
	case l.replies < p.replies:
		l.lose(CauseReconnect, errMissing)
	default:
		l.prove(p)
		l.fenced(p.fence)
	}
}

// fenced ends a fence that is back, at once, or when it is known of the numbers that are
// missing whether they were lost: what came before the fence may be a doubt (C5).
func (l *life) fenced(fence chan struct{}) {
	if fence == nil || !l.sequences.open() {
		l.fences.held(fence)
		return
	}
	l.parked, l.parkedUntil = fence, time.Now().Add(reorderTime)
}

// beaten handles a beat. Only the token tells which it is: the text is anyone's
// to write, so what is not outstanding is ignored.
func (l *life) beaten(token string) {
	p, ok := l.beats.take(token)
	if !ok {
		l.metrics.ignored.Inc()
		return
	}
	l.prove(p)
}

// prove tells of a proof, unless a newer one has been told: a beat and a PING
// travel to the server on different connections.
func (l *life) prove(p probe) {
	if !l.roster.settled() || l.proven && p.sent.Before(l.newest) {
		return
	}
	l.newest = p.sent
	if !l.proven {
		l.proven = true
		l.relayed.Store(l.link.Relayed())
		l.setLive(true, nil)
		l.log.Info("bus connection live", "conn", l.id)
	}
	l.handler.Proof(l.id, p.sent)
}
