package rpc

import (
	"context"
	"time"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/shard"
)

// Node is what the edge asks of the node behind it.
type Node interface {
	// Read answers with one entry. An item that does not exist is an answer
	// (Absent), not an error.
	//
	// Errors: *shard.UnknownKindError, shard.ErrTenantLimit, cache.ErrTooOld,
	// *cache.UnavailableError, and those of ctx.
	Read(ctx context.Context, tenant, kind, key string, o cache.ReadOptions) (cache.Answer, error)
	// Now is the clock of [cache.Answer.Position].
	Now() time.Duration
	Operations
}

// Operations is what operators ask of a node. None of them waits.
type Operations interface {
	// Member describes the node as a member.
	Member() shard.Member
	// Describe describes a tenant, without activating it.
	Describe(tenant string) shard.Description
	// List returns the active tenants after a name, in order, whose names begin
	// with prefix and match, at most limit; and after which to go on, "" at the end.
	List(after, prefix string, limit int, match func(tenant string) bool) (page []shard.Summary, next string)
	// Invalidate makes an entry known old; false: the tenant is not active.
	//
	// Errors: *shard.UnknownKindError, shard.ErrNothingKept.
	Invalidate(tenant, kind, key string) (active bool, err error)
	// Drop lets go of a tenant; false: it was not active.
	Drop(tenant string) (active bool)
}

// Readiness says whether the node should get requests, with the reasons why not
// or, if it is ready all the same, what is degraded.
type Readiness interface {
	Readiness() (ready bool, reasons, degraded []string)
}

// entry names what is read.
type entry struct{ tenant, kind, key string }
