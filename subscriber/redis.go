package subscriber

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// link is one pub/sub connection for one life: whatever fails, it is closed
// and never used again. Close may be called at any time, from any goroutine;
// it does not wait, and ends every other call.
type link interface {
	Subscribe(ctx context.Context, channels ...string) error
	Unsubscribe(ctx context.Context, channels ...string) error
	Ping(ctx context.Context, payload ...string) error
	// Receive returns the next *redis.Message, *redis.Subscription or
	// *redis.Pong.
	Receive(ctx context.Context) (any, error)
	// Relayed reports whether the server is one of several, as far as it has said: of a
	// cluster, or a replica.
	Relayed() bool
	Close() error
}

var errOneLife = errors.New("the connection has ended")

// options are those of every connection. RESP2, because push notifications
// have no business between the replies of a pub/sub connection; no retries,
// because an error is a sign of loss, and a repeated PUBLISH is a second one.
func (c Config) options() *redis.Options {
	return &redis.Options{
		Addr:                       c.Addresses[0],
		Protocol:                   2,
		CredentialsProviderContext: c.credentials,
		TLSConfig:                  c.TLS,
		MaxRetries:                 -1,
		DialerRetries:              1,
		DialTimeout:                c.ProofTTL,
		ReadTimeout:                c.ProofTTL,
		WriteTimeout:               c.ProofTTL,
		ContextTimeoutEnabled:      true,
		DisableIdentity:            true,
		PoolSize:                   4,
		PipelinePoolSize:           -1,
		MaintNotificationsConfig:   &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// dial opens a link.
func (c Config) dial(ctx context.Context) (link, error) {
	l, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// open connects. The handshake (TLS, AUTH) follows with the first command.
func (c Config) open(ctx context.Context) (*redisLink, error) {
	raw, err := (&net.Dialer{Timeout: c.ProofTTL}).DialContext(ctx, "tcp", c.Addresses[0])
	if err != nil {
		return nil, err
	}
	l := &redisLink{raw: raw, cfg: c}
	opt := c.options()
	opt.Dialer, opt.OnConnect = l.once, l.meet
	l.client = redis.NewClient(opt)
	l.pubsub = l.client.Subscribe(ctx)
	return l, nil
}

// redisLink is a redis.PubSub that cannot reconnect.
type redisLink struct {
	cfg     Config
	raw     net.Conn
	taken   atomic.Bool
	relayed atomic.Bool // the server is one of several
	client  *redis.Client
	pubsub  *redis.PubSub
}

// once is the client's dialer. It hands out the connection and refuses from
// then on: go-redis would otherwise reconnect and subscribe everything anew
// inside Receive, hiding the gap.
func (l *redisLink) once(ctx context.Context, _, addr string) (net.Conn, error) {
	if l.taken.Swap(true) {
		return nil, errOneLife
	}
	if l.cfg.TLS == nil {
		return l.raw, nil
	}
	conf := l.cfg.TLS.Clone()
	if conf.ServerName == "" {
		conf.ServerName, _, _ = net.SplitHostPort(addr)
	}
	ctx, cancel := context.WithTimeout(ctx, l.cfg.ProofTTL)
	defer cancel()
	conn := tls.Client(l.raw, conf)
	return conn, conn.HandshakeContext(ctx)
}

// meet asks the server what it is. One that does not say is taken to be alone.
func (l *redisLink) meet(ctx context.Context, c *redis.Conn) error {
	about, err := c.Do(ctx, "HELLO").Slice()
	if _, said := errors.AsType[redis.Error](err); err != nil && !said {
		return err
	}
	for i := 0; i+1 < len(about); i += 2 {
		if about[i] == "mode" && about[i+1] == "cluster" || about[i] == "role" && about[i+1] != "master" {
			l.relayed.Store(true)
		}
	}
	return nil
}

// Relayed reports whether what is published may come by way of another server.
func (l *redisLink) Relayed() bool { return l.relayed.Load() }

func (l *redisLink) Subscribe(ctx context.Context, channels ...string) error {
	return l.pubsub.Subscribe(ctx, channels...)
}

func (l *redisLink) Unsubscribe(ctx context.Context, channels ...string) error {
	return l.pubsub.Unsubscribe(ctx, channels...)
}

func (l *redisLink) Ping(ctx context.Context, payload ...string) error {
	return l.pubsub.Ping(ctx, payload...)
}

// Receive has no time-out: one in the middle of a reply would break the
// stream. go-redis asserts the types of what the server sends; a server that
// breaks the protocol must cost the connection, not the process.
func (l *redisLink) Receive(ctx context.Context) (got any, err error) {
	defer func() {
		if r := recover(); r != nil {
			got, err = nil, fmt.Errorf("unexpected reply: %v", r)
		}
	}()
	return l.pubsub.Receive(ctx)
}

// Close closes the socket first: that ends calls which hold the PubSub's lock
// while they write or shake hands, so that its own Close does not wait for them.
func (l *redisLink) Close() error {
	l.taken.Store(true)
	err := l.raw.Close()
	_ = l.pubsub.Close()
	_ = l.client.Close()
	return err
}
