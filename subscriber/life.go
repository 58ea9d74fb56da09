package subscriber

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// life is one connection from its first command to its first error.
type life struct {
	*conn
	link  link
	queue *queue
	pings *ledger
	beats *ledger
	// fences are PINGs that somebody waits for.
	fences fences
	// ended is closed when the life has.
	ended chan struct{}
	// cancel ends the life's context, and with it the life.
	cancel context.CancelCauseFunc
	// written counts the subscription replies that completed writes have
	// asked for.
	written atomic.Int64
	// beatState is that of the subscription of the beat channel.
	beatState atomic.Uint32

	// beatAllowed is the reader goroutine's: the server has subscribed the beat
	// channel.
	beatAllowed bool

	// The rest is the handler goroutine's.

	// replies counts the subscription replies that have come.
	replies int64
	// heard is set once the server has said anything.
	heard bool
	// proven is set once a proof was given, newest the last one's time.
	proven bool
	newest time.Time
	// sequences watches the events' numbers, if they have any.
	sequences sequences
	// parked is the fence that is back and waits for missing numbers, until then at
	// most; nil: none does.
	parked      chan struct{}
	parkedUntil time.Time
}

// The values of beatState.
const (
	beatUnasked uint32 = iota
	beatAsked
	beatSubscribed
)

func newLife(c *conn, link link) *life {
	return &life{
		conn: c, link: link,
		queue: &queue{maxItems: c.cfg.QueueEvents, maxBytes: c.cfg.QueueBytes, wake: c.wake},
		pings: newLedger(c.cfg.ProofTTL), beats: newLedger(c.cfg.ProofTTL - c.cfg.Heartbeat),
		fences: fences{asked: make(chan struct{}, 1)}, ended: make(chan struct{}),
	}
}

// run returns why the life ended, when all its goroutines have. The link is
// closed as soon as anything ends it, which frees whoever waits for the server.
func (l *life) run(parent context.Context) error {
	ctx, cancel := context.WithCancelCause(parent)
	l.cancel = cancel
	context.AfterFunc(ctx, func() { defer close(l.ended); _ = l.link.Close() })
	if l.sendPing(ctx, nil) { // the handshake
		l.metrics.connects.Inc()
		l.serve(parent, ctx)
	}
	cancel(nil)
	<-l.ended
	return context.Cause(ctx)
}

// serve runs the life's goroutines; this one is the handler.
func (l *life) serve(parent, ctx context.Context) {
	l.roster.reset()
	l.current.Store(l)
	defer l.current.Store(nil)
	var wg sync.WaitGroup
	for _, part := range []func(context.Context){l.read, l.write, l.keepPinging, l.watch} {
		wg.Go(func() { part(ctx) })
	}
	l.handle(parent, ctx)
	wg.Wait()
}

// lose ends the life. The first cause stands.
func (l *life) lose(cause Cause, err error) { l.cancel(&lostError{cause, err}) }

// read passes on what the server sends, and never waits for anything else.
func (l *life) read(ctx context.Context) {
	defer l.queue.close()
	for {
		got, err := l.link.Receive(ctx)
		if err != nil {
			l.forbidden(err)
			l.lose(CauseConnection, err)
			return
		}
		if !l.accept(got) {
			return
		}
	}
}

// accept queues what was received, or loses the connection.
func (l *life) accept(got any) bool {
	i, err := l.item(got)
	if err != nil {
		l.lose(CauseConnection, err)
		return false
	}
	kept := l.queue.push(i)
	switch {
	case kept:
	case i.bounded():
		l.metrics.dropped.Inc()
	case i.what == itemBeat: // not an event, and anyone may send many
		l.metrics.ignored.Inc()
	default:
		l.lose(CauseOverflow, errOverflow)
		return false
	}
	return true
}

// item is what is kept of a message while it waits.
func (l *life) item(got any) (item, error) {
	switch got := got.(type) {
	case *redis.Message:
		return l.message(got), nil
	case *redis.Pong:
		return item{what: itemPong, payload: cut(got.Payload)}, nil
	case *redis.Subscription:
		switch got.Kind {
		case "subscribe":
			l.beatAllowed = l.beatAllowed || got.Channel == l.beatChannel
			return item{what: itemSubscribed, channel: got.Channel}, nil
		case "unsubscribe":
			return item{what: itemUnsubscribed, channel: got.Channel}, nil
		}
		return item{}, fmt.Errorf("unexpected %s", got.Kind)
	default:
		return item{}, fmt.Errorf("unexpected %T", got)
	}
}

func (l *life) message(m *redis.Message) item {
	switch {
	case m.Channel == l.beatChannel:
		return item{what: itemBeat, payload: cut(m.Payload)}
	case len(m.Payload) > l.cfg.MaxEventBytes:
		return item{what: itemOversized, channel: m.Channel, size: len(m.Payload)}
	default:
		return item{channel: m.Channel, payload: m.Payload}
	}
}

// cut empties what is too long to be one of our tokens, so that the items that
// are not messages are small.
func cut(payload string) string {
	if len(payload) > 64 {
		return ""
	}
	return payload
}

// forbidden turns the beats off if it was their channel that the server does
// not let us subscribe.
func (l *life) forbidden(err error) {
	if !l.beatAllowed && l.beatState.Load() == beatAsked && redis.IsPermissionError(err) {
		l.stopBeats(err)
	}
}

// write brings the server to what is wanted, the beat channel first.
func (l *life) write(ctx context.Context) {
	if !l.beatsOff.Load() {
		l.beatState.Store(beatAsked)
		if !l.wrote(l.link.Subscribe(ctx, l.beatChannel), 1) {
			return
		}
	}
	for {
		for c, ok := l.roster.next(); ok; c, ok = l.roster.next() {
			if !l.send(ctx, c) {
				return
			}
		}
		select {
		case <-l.work:
		case <-ctx.Done():
			return
		}
	}
}

func (l *life) send(ctx context.Context, c command) bool {
	if names := l.names(c.unsubscribe); len(names) > 0 && !l.wrote(l.link.Unsubscribe(ctx, names...), len(names)) {
		return false
	}
	names := l.names(c.subscribe)
	return len(names) == 0 || l.wrote(l.link.Subscribe(ctx, names...), len(names))
}

func (l *life) wrote(err error, replies int) bool {
	if err != nil {
		l.lose(CauseConnection, err)
		return false
	}
	l.written.Add(int64(replies))
	return true
}

// names returns the tenants' channels. go-redis keeps them, so those of a
// tenant share one allocation.
func (l *life) names(tenants []string) []string {
	names := make([]string, 0, len(tenants)*len(l.topics))
	var text []byte
	for _, tenant := range tenants {
		text = text[:0]
		for _, topic := range l.topics {
			text = append(append(append(append(text, l.prefix...), tenant...), ':'), topic...)
		}
		for all, rest := string(text), len(l.prefix)+len(tenant)+1; len(all) > 0; {
			n := rest + len(l.topics[len(names)%len(l.topics)])
			names, all = append(names, all[:n]), all[n:]
		}
	}
	return names
}

// sendPing starts a proof, which may be a fence.
func (l *life) sendPing(ctx context.Context, fence chan struct{}) bool {
	id := token()
	l.pings.add(id, probe{sent: time.Now(), replies: l.written.Load(), expected: true, fence: fence})
	if err := l.link.Ping(ctx, id); err != nil {
		l.lose(CauseConnection, err)
		return false
	}
	return true
}

func (l *life) keepPinging(ctx context.Context) {
	tick := time.NewTicker(l.cfg.Heartbeat)
	defer tick.Stop()
	for {
		var fence chan struct{}
		select {
		case <-tick.C:
		case <-l.ping:
		case <-l.fences.asked:
			if fence = l.fences.depart(); fence == nil {
				continue
			}
		case <-ctx.Done():
			return
		}
		if !l.sendPing(ctx, fence) {
			return
		}
	}
}

// watchInterval bounds how late a probe that does not come back is noticed.
const watchInterval = 250 * time.Millisecond

// watch ends the life when a probe does not come back. A PING has ProofTTL, since
// until it comes back nothing newer is proven. A beat has a heartbeat less: the PONGs
// go on proving where a server passes nothing on, and up to a heartbeat has
// gone by when the first beat is lost. So that, too, is noticed within ProofTTL.
func (l *life) watch(ctx context.Context) {
	tick := time.NewTicker(min(l.cfg.Heartbeat/4, watchInterval))
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			l.check(now)
		case <-ctx.Done():
			return
		}
	}
}

func (l *life) check(now time.Time) {
	if l.pings.overdue(now) {
		l.lose(CausePong, fmt.Errorf("PING: %w", errNotBack))
	}
	if l.beats.overdue(now) && !beatless() {
		l.lose(CauseBeat, fmt.Errorf("beat: %w", errNotBack))
	}
}
