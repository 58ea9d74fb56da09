package cluster

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// gossipLog is what memberlist logs to. It knows by its lines alone what it
// tells nobody otherwise: that a member is suspected, and that a packet had
// another label or key. Those become what they are; what this package logs
// itself, or what any crash brings about, goes to Debug; the rest is a
// warning, ten at once, then one in ten seconds.
//
// Memberlist may hold its lock meanwhile: nothing here waits.
type gossipLog struct {
	log     *slog.Logger
	limiter *rate.Limiter
	suspect func(name string)
	refused func(refusal)
	// closed is set once the cluster has ended: memberlist's goroutines
	// outlive its Shutdown.
	closed atomic.Bool
}

// handler makes a *slog.Handler of it, for slog.NewLogLogger.
type handler struct{ *gossipLog }

func newGossipLog(log *slog.Logger, suspect func(string), refused func(refusal)) *gossipLog {
	return &gossipLog{log: log, limiter: rate.NewLimiter(0.1, 10), suspect: suspect, refused: refused}
}

func (handler) Enabled(context.Context, slog.Level) bool { return true }
func (h handler) WithAttrs([]slog.Attr) slog.Handler     { return h }
func (h handler) WithGroup(string) slog.Handler          { return h }

// Handle takes one line, such as "[WARN] memberlist: …".
func (h handler) Handle(_ context.Context, r slog.Record) error {
	if h.closed.Load() {
		return nil
	}
	level, line := cutLevel(r.Message)
	switch {
	case h.act(line) || level < slog.LevelWarn || isUsual(line):
		h.log.Debug("gossip", "line", excerpt(line))
	case h.limiter.Allow():
		h.log.Warn("gossip", "line", excerpt(line))
	}
	return nil
}

func cutLevel(line string) (slog.Level, string) {
	level, rest, ok := strings.Cut(line, "] ")
	if !ok || !strings.HasPrefix(level, "[") {
		return slog.LevelWarn, line
	}
	rest = strings.TrimPrefix(rest, "memberlist: ")
	if level == "[DEBUG" || level == "[INFO" {
		return slog.LevelDebug, rest
	}
	return slog.LevelWarn, rest
}

// act does what a line stands for. Beginnings are compared, so that a text
// that a peer chose and that is quoted in a line stands for nothing.
func (l *gossipLog) act(line string) bool {
	if rest, ok := strings.CutPrefix(line, "Suspect "); ok {
		if name, ok := strings.CutSuffix(rest, " has failed, no acks received"); ok {
			l.suspect(name)
		}
		return true
	}
	reason, ok := foreign(line)
	if ok {
		l.refused(refusal{peer: sender(line), address: sender(line), reason: reason, detail: line})
	}
	return ok
}

// foreign returns the reason of a line of which a peer's configuration is the
// cause.
func foreign(line string) (reason string, ok bool) {
	switch {
	case begins(line, "discarding packet with unacceptable label", "discarding stream with unacceptable label"):
		return reasonLabel, true
	case begins(line, "Decrypt packet failed", "failed to receive: no installed keys",
		"failed to receive: remote state is encrypted", "failed to receive: encryption is configured"):
		return reasonKey, true
	}
	return "", false
}

// sender returns the host of a line's last "from=", without the port: streams
// come from ever new ones.
func sender(line string) string {
	i := strings.LastIndex(line, "from=")
	if i < 0 {
		return ""
	}
	address := line[i+len("from="):]
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return excerpt(address)
}

// isUsual says whether a warning is nothing new: this package reports refusals
// and conflicts itself, and the others come with every crash or with garbage.
func isUsual(line string) bool {
	return begins(line,
		"ignoring alive message", "Ignoring an alive message", "Conflicting address", "Failed push/pull merge", "Refuting ",
		"Got ping for unexpected node", "Failed fallback TCP ping", "Push/Pull with", "Failed to send", "Failed to forward ack",
		"Failed to push local state", "Failed to read remote state", "failed to receive", "Failed to receive",
		"Failed to decode", "Failed to decompress", "Compound request had", "Got invalid checksum",
		"msg type", "missing message type byte", "Received invalid msgType", "cannot decode label", "label header cannot be empty")
}

func begins(line string, with ...string) bool {
	return slices.ContainsFunc(with, func(s string) bool { return strings.HasPrefix(line, s) })
}
