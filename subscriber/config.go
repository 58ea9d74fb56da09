package subscriber

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Config says how to reach the bus and how strictly to watch it. Zero fields
// take their defaults.
type Config struct {
	// Addresses are host:port; the first is used. Default: 127.0.0.1:6379.
	Addresses []string
	// Username and Password authenticate; empty: not at all, or as the default
	// user.
	Username, Password string
	// PasswordFile, if set, is read for each connection in place of Password,
	// so that a rotated secret is used without a restart. White space around
	// the password is cut off.
	PasswordFile string
	// TLS, if set, is used for all connections; an empty ServerName is taken
	// from the address.
	TLS *tls.Config
	// Namespace starts every channel: {namespace}:{tenant}:{topic}. It may
	// contain ':'. Default: crm.
	Namespace string
	// Source begins the source of what a [Publisher] announces; a random part
	// follows, different each time one is made. It is 1 to 128 of letters,
	// digits, '.', '_', ':', '/' and '-'. Default: publisher.
	Source string
	// Heartbeat is the time between two PINGs on a connection, and between two
	// beats. Default: 1 s.
	Heartbeat time.Duration
	// ProofTTL is the time in which a PING or beat must have come back; at
	// least twice Heartbeat. It also bounds dialing and each write.
	// Default: 3 s.
	ProofTTL time.Duration
	// Connections is the number of pub/sub connections the tenants are spread
	// over, 1 to 64. Default: 2.
	Connections int
	// MaxEventBytes is the largest message that is decoded; larger ones are
	// refused. Default: 1 MiB.
	MaxEventBytes int
	// QueueEvents and QueueBytes bound what each connection has received and
	// not yet handled; what exceeds them is dropped and doubted. QueueBytes
	// must be at least MaxEventBytes + 64 KiB.
	// Defaults: 65,536 and 32 MiB, which is also where Redis by itself cuts
	// off a client that does not read.
	QueueEvents, QueueBytes int
}

// Bounds of the protocol, not of taste: a command of 1,000 channels keeps the
// server from stalling (100,000 in one take it 0.3 s).
const (
	maxCommandChannels = 1000
	// replyWindow bounds the subscription replies awaited at a time.
	replyWindow = 10 * maxCommandChannels
	// queueSlack is the room in QueueBytes for what surrounds the largest
	// event: its channel's name and the item itself.
	queueSlack = 64 << 10
)

// withDefaults returns the configuration with every zero field filled in, or
// every mistake in it.
func (c Config) withDefaults() (Config, error) {
	if len(c.Addresses) == 0 {
		c.Addresses = []string{"127.0.0.1:6379"}
	}
	fill(&c.Namespace, "crm")
	fill(&c.Source, "publisher")
	fill(&c.Heartbeat, time.Second)
	fill(&c.ProofTTL, 3*time.Second)
	fill(&c.Connections, 2)
	fill(&c.MaxEventBytes, 1<<20)
	fill(&c.QueueEvents, 1<<16)
	fill(&c.QueueBytes, 32<<20)
	return c, c.check()
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (c Config) check() error {
	var errs []error
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	refuse(c.Addresses[0] == "", "the first address is empty")
	refuse(!printable(c.Namespace), "namespace %q: spaces, control characters or invalid UTF-8", c.Namespace)
	refuse(!isSource(c.Source), "source %.150q: must be 1 to 128 of letters, digits, '.', '_', ':', '/' and '-'", c.Source)
	refuse(c.Heartbeat < time.Millisecond, "heartbeat %v: must be at least 1ms", c.Heartbeat)
	refuse(c.ProofTTL < 2*c.Heartbeat, "proof TTL %v: must be at least twice the heartbeat (%v)", c.ProofTTL, c.Heartbeat)
	refuse(c.ProofTTL/1000 > c.Heartbeat, "proof TTL %v: must be at most 1,000 heartbeats (%v)", c.ProofTTL, c.Heartbeat)
	refuse(c.Connections < 1 || c.Connections > 64, "connections %d: must be 1 to 64", c.Connections)
	refuse(c.MaxEventBytes < 1, "max event bytes %d: must be positive", c.MaxEventBytes)
	refuse(c.QueueEvents < 1, "queue events %d: must be positive", c.QueueEvents)
	refuse(c.QueueBytes < c.MaxEventBytes+queueSlack, "queue bytes %d: must be at least the max event bytes + 64 KiB", c.QueueBytes)
	return errors.Join(errs...)
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsPrint(r) || r == ' '
	})
}

// isSource says whether s needs no escapes and leaves room for the random part.
func isSource(s string) bool { return s != "" && len(s) <= 128 && plain(s, "._:/-") }

// Channel returns the name of a tenant's channel for a topic.
func (c Config) Channel(tenant, topic string) string {
	return c.prefix() + tenant + ":" + topic
}

func (c Config) prefix() string {
	namespace := c.Namespace
	fill(&namespace, "crm")
	return namespace + ":"
}

// parseChannel is the inverse of Channel. A tenant holds no ':'; the prefix
// and the topic may.
func parseChannel(prefix, channel string) (tenant, topic string, ok bool) {
	rest, ok := strings.CutPrefix(channel, prefix)
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, ":")
}

func (c Config) credentials(context.Context) (username, password string, err error) {
	if c.PasswordFile == "" {
		return c.Username, c.Password, nil
	}
	text, err := os.ReadFile(c.PasswordFile)
	if err != nil {
		return "", "", fmt.Errorf("read the bus's password: %w", err)
	}
	return c.Username, strings.TrimSpace(string(text)), nil
}
