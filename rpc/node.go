package rpc

import (
	"context"
	"time"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/shard"
	"github.com/tenantry/tenantry/shard/ring"
)

// Node is what the edge asks of the node behind it.
type Node interface {
	// Read answers with one entry. An item that does not exist is an answer
	// (Absent), not an error.
	//
	// Errors: *shard.UnknownKindError, shard.ErrTenantLimit, cache.ErrTooOld,
	// *cache.UnavailableError, and those of ctx.
	Read(ctx context.Context, tenant, kind, key string, o cache.ReadOptions) (cache.Answer, error)
	// Recall answers from memory, or not at all.
	//
	// Errors: *shard.UnknownKindError.
	Recall(tenant, kind, key string, o cache.ReadOptions) (a cache.Answer, ok bool, err error)
	// Now is the clock of [cache.Answer.Position].
	Now() time.Duration
	Ownership
	Operations
}

// Ownership is what the edge asks of the ring.
type Ownership interface {
	// Owns reports whether this node is an owner of a tenant.
	Owns(tenant string) bool
	// Others returns the other owners of a tenant, the primary first.
	Others(tenant string) []shard.Peer
	// Peers returns the other members of the ring, by name.
	Peers() []shard.Peer
	// Ring returns the ring, nil if there is none, its members in their order, and
	// what is closed as soon as there is another.
	Ring() (r *ring.Ring, members []shard.Peer, changed <-chan struct{})
	// Hear takes the word of another owner that tenants are active there.
	Hear(tenants []shard.Activity)
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
