package subscriber

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// maxOutgoing bounds the events that wait or are on their way.
	maxOutgoing = 4096
	// maxBatch bounds the events of a round trip. A batch sent twice must lie
	// within the numbers that nodes remember (window).
	maxBatch = window
	// maxBatchBytes bounds a batch's messages, but for one that is larger alone.
	maxBatchBytes = 1 << 20
)

// outgoing is one event on its way. Its flush writes receivers and err, and
// closes done after that.
type outgoing struct {
	channel string
	message []byte
	done    chan struct{}

	receivers int64
	err       error // of the last attempt

	// Under the publisher's mu.
	last      error // err, for who does not wait for done
	abandoned bool  // nobody waits for it any more
}

// deliver queues what message returns and waits for its acknowledgement.
// message is called when it is certain that the event is queued, in the order
// of the queue.
func (p *Publisher) deliver(ctx context.Context, channel string, message func() []byte) (int64, error) {
	o := &outgoing{channel: channel, done: make(chan struct{})}
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return 0, fmt.Errorf("publish on %s: %w: %d events are under way", channel, ctx.Err(), maxOutgoing)
	case <-p.closed:
		return 0, fmt.Errorf("publish on %s: %w", channel, ErrClosed)
	}
	if err := p.enqueue(ctx, o, message); err != nil {
		return 0, fmt.Errorf("publish on %s: %w", channel, err)
	}
	select {
	case <-o.done:
		return o.result()
	case <-ctx.Done():
		return 0, p.abandon(ctx, o)
	}
}

func (o *outgoing) result() (int64, error) {
	if o.err != nil {
		return 0, fmt.Errorf("publish on %s: %w", o.channel, o.err)
	}
	return o.receivers, nil
}

func (p *Publisher) enqueue(ctx context.Context, o *outgoing, message func() []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.ended:
		<-p.slots
		return ErrClosed
	case ctx.Err() != nil:
		<-p.slots
		return ctx.Err()
	}
	o.message = message()
	p.queue = append(p.queue, o)
	if !p.busy {
		p.busy = true
		p.flush.Go(p.flushAll)
	}
	return nil
}

// abandon takes an event back, unless it is being sent.
func (p *Publisher) abandon(ctx context.Context, o *outgoing) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	o.abandoned, p.untidy = true, true
	if o.last != nil {
		return fmt.Errorf("publish on %s: %w: the last attempt: %w", o.channel, ctx.Err(), o.last)
	}
	return fmt.Errorf("publish on %s: not acknowledged: %w", o.channel, ctx.Err())
}

// flushAll sends what is queued, and ends when nothing is.
func (p *Publisher) flushAll() {
	backoff := minBackoff
	for batch := p.next(); batch != nil; batch = p.next() {
		p.exec(context.Background(), batch)
		if p.settle(batch) {
			backoff = minBackoff
			continue
		}
		p.pause(backoff/2 + rand.N(backoff/2)) // half is random, as for subscribers
		backoff = min(2*backoff, maxBackoff)
	}
}

// pause waits, or until the publisher is closed.
func (p *Publisher) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.closed:
	}
}

// next returns the batch to send, which stays queued until it is settled, or
// nil: nothing is left to do.
func (p *Publisher) next() (batch []*outgoing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended || p.untidy {
		p.queue, p.untidy = slices.DeleteFunc(p.queue, p.drops), false
	}
	size := 0
	for i, o := range p.queue {
		if size += len(o.message); i == maxBatch || i > 0 && size > maxBatchBytes {
			break
		}
		batch = append(batch, o)
	}
	p.busy = len(batch) > 0
	return batch
}

// drops says whether an event leaves the queue unsettled, and ends its call.
func (p *Publisher) drops(o *outgoing) bool {
	if p.ended || o.abandoned {
		o.err = ErrClosed
		p.end(o)
		return true
	}
	return false
}

// end ends the call of an event, which leaves the queue.
func (p *Publisher) end(o *outgoing) {
	close(o.done)
	<-p.slots
}

// settle ends the calls of what was acknowledged, or never can be, up to the
// first that failed otherwise. It reports whether none did.
func (p *Publisher) settle(batch []*outgoing) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, o := range batch {
		if o.err != nil && !redis.IsPermissionError(o.err) {
			for _, unsettled := range batch[i:] {
				unsettled.last = o.err
			}
			return false
		}
		p.end(o)
		p.queue[0] = nil
		p.queue = p.queue[1:]
	}
	return true
}

// pipeline sends a batch in one round trip.
func (p *Publisher) pipeline(ctx context.Context, batch []*outgoing) {
	pipe := p.client.Pipeline()
	replies := make([]*redis.IntCmd, len(batch))
	for i, o := range batch {
		replies[i] = pipe.Publish(ctx, o.channel, o.message)
	}
	_, _ = pipe.Exec(ctx) // its error is that of one of them
	for i, o := range batch {
		o.receivers, o.err = replies[i].Result()
	}
}
