package subscriber

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Publisher publishes events. Close it after use.
type Publisher struct {
	cfg    Config
	client *redis.Client
}

// NewPublisher returns a publisher on the bus of cfg. It does no I/O.
func NewPublisher(cfg Config) (*Publisher, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("bus: %w", err)
	}
	return &Publisher{cfg: cfg, client: redis.NewClient(cfg.options())}, nil
}

// ErrChannel says that a tenant and a topic name no channel; nothing was sent.
var ErrChannel = errors.New("each is 1 to 64 of letters, digits, '.', '_' and '-', but not dots alone")

// Publish publishes one event on a tenant's channel and returns how many
// subscribers the server gave it to. It tries once: after an error other than
// [ErrChannel] the event may or may not have been published, and publishing
// again is safe.
func (p *Publisher) Publish(ctx context.Context, tenant, topic string, payload []byte) (receivers int64, err error) {
	if !isName(tenant) || !isName(topic) {
		return 0, fmt.Errorf("publish: tenant %q, topic %q: %w", tenant, topic, ErrChannel)
	}
	return p.send(ctx, p.cfg.Channel(tenant, topic), payload)
}

func (p *Publisher) send(ctx context.Context, channel string, payload any) (int64, error) {
	receivers, err := p.client.Publish(ctx, channel, payload).Result()
	if err != nil {
		return 0, fmt.Errorf("publish on %s: %w", channel, err)
	}
	return receivers, nil
}

// Close ends the publisher's connections.
func (p *Publisher) Close() error { return p.client.Close() }

// isName says whether s can be a tenant or a topic.
func isName(s string) bool {
	odd := strings.ContainsFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-'
	})
	return !odd && s != "" && len(s) <= 64 && s != "." && s != ".."
}
