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
func allow(ctx context.Context, tenant string, scope Scope) error { //nolint:unparam // methods for operators ask for another scope
	c := callerOf(ctx)
	if c == nil {
		return &authenticationError{}
	}
	if c.Scope&scope != scope {
		return &forbiddenError{caller: c.Name, tenant: tenant}
	}
	if c.AllTenants {
		return nil
	}
	if _, ok := slices.BinarySearch(c.Tenants, tenant); !ok {
		return &forbiddenError{caller: c.Name, tenant: tenant}
	}
	return nil
}
