package rpc

import (
	"context"
	"crypto/subtle"
	"net/http"

	"github.com/tenantry/tenantry/rpc/peers"
)

// secrets are what other nodes may show; none: there are no others.
type secrets []string

// admits reports whether what was shown is one of them.
func (s secrets) admits(shown string) bool {
	admitted := 0
	for _, secret := range s {
		admitted |= subtle.ConstantTimeCompare([]byte(secret), []byte(shown))
	}
	return admitted == 1 && shown != ""
}

// identify finds out who asks: another node, by its secret, which has authorised
// its own caller; or a caller of its own. A wrong secret is refused, and nobody is
// asked for another proof.
func (e *edge) identify(ctx context.Context, header http.Header) (context.Context, error) {
	shown := header.Get(peers.SecretHeader)
	if shown == "" {
		return e.authenticate.identify(ctx, header)
	}
	if !e.secrets.admits(shown) {
		return nil, &authenticationError{}
	}
	return withCaller(ctx, &Caller{
		Name: "node " + header.Get(peers.NodeHeader), AllTenants: true, Scope: ScopeRead | ScopeOperate, node: true,
	}), nil
}

// isForwarded reports whether another node asks: what it asks is answered here,
// owner or not (C8).
func isForwarded(ctx context.Context) bool {
	c := callerOf(ctx)
	return c != nil && c.node
}
