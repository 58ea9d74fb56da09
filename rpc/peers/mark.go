package peers

import (
	"context"
	"net/http"

	"connectrpc.com/connect"

	"github.com/tenantry/tenantry/shard"
)

// The headers by which nodes know each other's calls. What has them was forwarded,
// and is not forwarded again (C8).
const (
	// NodeHeader is the name of the node that asks.
	NodeHeader = "Tenantry-Peer"
	// SecretHeader is the cluster's secret, or the token of the node that is asked.
	SecretHeader = "Tenantry-Peer-Secret" //nolint:gosec // a name, and no credential
)

// options are those of every client.
func (p *Peers) options(to *shard.Peer) []connect.ClientOption {
	return []connect.ClientOption{
		connect.WithAcceptCompression("gzip", nil, nil),
		connect.WithReadMaxBytes(maxAnswer),
		connect.WithInterceptors(mark{p.cfg.Self, p.secretOf(to)}),
	}
}

func (p *Peers) secretOf(to *shard.Peer) string {
	if p.cfg.Secret != "" {
		return p.cfg.Secret
	}
	return to.Token
}

// mark marks calls as a node's.
type mark struct{ name, secret string }

func (m mark) set(h http.Header) {
	h.Set(NodeHeader, m.name)
	h.Set(SecretHeader, m.secret)
	// Without a value it is not sent, and has net/http ask again where a connection
	// turns out to have been closed while it was idle.
	h["Idempotency-Key"] = nil
}

func (m mark) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		m.set(req.Header())
		return next(ctx, req)
	}
}

func (m mark) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		c := next(ctx, spec)
		m.set(c.RequestHeader())
		return c
	}
}

func (m mark) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}
