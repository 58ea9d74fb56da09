package rpc

import (
	"context"
	"net/http"
	"slices"
)

// Scope is what a caller may do with its tenants, as a set of bits.
type Scope uint8

const (
	// ScopeRead allows reads and watches.
	ScopeRead Scope = 1 << iota
	// ScopeOperate allows invalidating, dropping, draining and listing.
	ScopeOperate
)

// Caller is who asks. It is immutable.
type Caller struct {
	// Name is for logs.
	Name string
	// Tenants are those the caller may name, sorted; ignored with AllTenants.
	Tenants    []string
	AllTenants bool
	Scope      Scope
	// node says that it is another node, which has authorised its own caller.
	node bool
}

// Authenticate finds out who sent a request with these headers. An error of
// its own goes out as `unauthenticated`, without its text.
type Authenticate func(ctx context.Context, header http.Header) (*Caller, error)

// Anonymous takes every caller for one that may do everything with all tenants:
// auth.mode none.
func Anonymous(context.Context, http.Header) (*Caller, error) {
	return &Caller{Name: "anonymous", AllTenants: true, Scope: ScopeRead | ScopeOperate}, nil
}

type callerKey struct{}

func withCaller(ctx context.Context, c *Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// callerOf returns who asks, or nil if nobody was authenticated.
func callerOf(ctx context.Context) *Caller {
	c, _ := ctx.Value(callerKey{}).(*Caller)
	return c
}

// identify authenticates a request and returns a context that knows the caller.
func (a Authenticate) identify(ctx context.Context, header http.Header) (context.Context, error) {
	if a == nil {
		return nil, &authenticationError{}
	}
	c, err := a(ctx, header)
	if err != nil {
		return nil, &authenticationError{cause: err}
	}
	return withCaller(ctx, c), nil
}

// allow reports whether the caller of ctx may do what scope says with a tenant.
// It is the only place that decides that.
func allow(ctx context.Context, tenant string, scope Scope) error {
	c := callerOf(ctx)
	if c == nil {
		return &authenticationError{}
	}
	if c.Scope&scope != scope || !c.may(tenant) {
		return &forbiddenError{caller: c.Name, tenant: tenant}
	}
	return nil
}

// allowScope reports whether the caller of ctx may do what scope says with the
// tenants that it may name, and returns it: what is not one of them must not be
// told.
func allowScope(ctx context.Context, scope Scope) (*Caller, error) {
	c := callerOf(ctx)
	if c == nil {
		return nil, &authenticationError{}
	}
	if c.Scope&scope != scope {
		return nil, &forbiddenError{caller: c.Name}
	}
	return c, nil
}

// may reports whether the caller may name a tenant.
func (c *Caller) may(tenant string) bool {
	if c.AllTenants {
		return true
	}
	_, ok := slices.BinarySearch(c.Tenants, tenant)
	return ok
}
