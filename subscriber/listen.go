package subscriber

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Heard is a message of any channel of the namespace.
type Heard struct {
	Channel string
	// Tenant and Topic are those of the channel's name; both are empty if it
	// has no ':' after the namespace.
	Tenant, Topic string
	Message       string
}

// Listen calls heard with everything that is published in cfg's namespace, or
// for one tenant if that is not empty, until ctx ends and what was published by
// then has been heard: nil says that nothing is missing since began was called,
// which is when the server had subscribed. It does not hear the beats of nodes.
//
// An error says that the connection failed, that the server did not allow the
// pattern (NOPERM), or that it cut off a listener that was too slow: messages
// may be missing, and Listen may be called again. heard is called from this
// goroutine; while it runs, messages wait at the server.
func Listen(ctx context.Context, cfg Config, tenant string, began func(), heard func(Heard)) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return fmt.Errorf("bus: %w", err)
	}
	l, err := cfg.open(ctx)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	done := make(chan struct{})
	ended := make(chan struct{})
	fence := token()
	go func() {
		defer close(ended)
		guard(ctx, l, cfg, fence, done)
	}()
	err = listen(ctx, l, cfg, tenant, fence, began, heard)
	close(done)
	<-ended
	return err
}

// guard sends the fence when ctx ends, and closes the link when that has not
// come back in time, or the listener is done.
func guard(ctx context.Context, l link, cfg Config, fence string, done <-chan struct{}) {
	defer func() { _ = l.Close() }()
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	late := time.NewTimer(cfg.ProofTTL)
	defer late.Stop()
	go func() { _ = l.Ping(context.WithoutCancel(ctx), fence) }() // Close ends it
	select {
	case <-done:
	case <-late.C:
	}
}

func listen(ctx context.Context, l *redisLink, cfg Config, tenant, fence string, began func(), heard func(Heard)) error {
	ctx = context.WithoutCancel(ctx) // guard ends it
	if err := l.pubsub.PSubscribe(ctx, cfg.pattern(tenant)); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	for {
		got, err := l.Receive(ctx)
		if err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		switch got := got.(type) {
		case *redis.Subscription:
			began()
		case *redis.Pong:
			if got.Payload == fence {
				return nil
			}
		case *redis.Message:
			h := Heard{Channel: got.Channel, Message: got.Payload}
			h.Tenant, h.Topic, _ = parseChannel(cfg.prefix(), got.Channel)
			if !strings.HasPrefix(h.Tenant, control) {
				heard(h)
			}
		}
	}
}

// control begins the name that control channels have in place of a tenant.
const control = "~"

// pattern matches the channels of the namespace, or of a tenant in it.
func (c Config) pattern(tenant string) string {
	literal := strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace
	if tenant == "" {
		return literal(c.prefix()) + "*"
	}
	return literal(c.prefix()+tenant) + ":*"
}
