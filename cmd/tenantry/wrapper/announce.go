package wrapper

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

const (
	// maxUnannounced bounds the changes that are on their way to the bus; no
	// more are accepted until it has acknowledged some.
	maxUnannounced = 1024
	// publishTimeout bounds one attempt.
	publishTimeout = 2 * time.Second
	// The delay between attempts doubles from minPause to maxPause.
	minPause = 100 * time.Millisecond
	maxPause = 5 * time.Second
	// giveUpAfter is when an announcement is dropped: by then every reader's
	// TTL has ended.
	giveUpAfter = time.Hour
)

// announcement is one event on its way.
type announcement struct {
	tenant, topic string
	payload       []byte
	since         time.Time
}

// announcer publishes events, and keeps those that the bus did not acknowledge.
type announcer struct {
	publisher Publisher
	logger    *slog.Logger
	// slots has one token for each change between its commit and the
	// acknowledgement of its event, so that unsent has room for all of them.
	slots  chan struct{}
	unsent chan announcement
}

func newAnnouncer(p Publisher, logger *slog.Logger) *announcer {
	return &announcer{publisher: p, logger: logger, slots: make(chan struct{}, maxUnannounced), unsent: make(chan announcement, maxUnannounced)}
}

var errUnannounced = errors.New("too many changes wait for the bus")

// reserve makes room for one announcement, to be asked for before the change is
// committed: what could not be announced must not be changed.
func (a *announcer) reserve() error {
	select {
	case a.slots <- struct{}{}:
		return nil
	default:
		return errUnannounced
	}
}

// release gives back a reservation.
func (a *announcer) release() { <-a.slots }

// announce publishes once and, if that fails, leaves it to run. It ends the
// reservation either way.
func (a *announcer) announce(ctx context.Context, it announcement) error {
	err := a.publish(ctx, it)
	if err != nil {
		a.unsent <- it
		a.logger.Warn("change committed but not announced", "tenant", it.tenant, "topic", it.topic, "error", err)
		return err
	}
	a.release()
	return nil
}

func (a *announcer) publish(ctx context.Context, it announcement) error {
	if a.publisher == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	return a.publisher.Publish(ctx, it.tenant, it.topic, it.payload)
}

// run publishes what is unsent, over and over, until ctx ends.
func (a *announcer) run(ctx context.Context) error {
	pause := minPause
	for {
		select {
		case <-ctx.Done():
			return nil
		case it := <-a.unsent:
			if a.again(ctx, it) {
				pause = minPause
				continue
			}
		}
		wait(ctx, pause)
		pause = min(2*pause, maxPause)
	}
}

// again says whether an announcement is done with; otherwise it is last in line.
func (a *announcer) again(ctx context.Context, it announcement) bool {
	err := a.publish(ctx, it)
	if err != nil && time.Since(it.since) < giveUpAfter {
		a.unsent <- it
		return false
	}
	if err != nil {
		a.logger.Error("change never announced", "tenant", it.tenant, "topic", it.topic, "error", err)
	}
	a.release()
	return true
}

// wait returns after d, or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
