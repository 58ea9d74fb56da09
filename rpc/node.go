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
	Handoff
	Operations
}

// Ownership is what the edge asks of the ring.
type Ownership interface {
	// Owns reports whether this node is an owner of a tenant.
	Owns(tenant string) bool
	// Others returns the other owners of a tenant, the primary first.
	Others(tenant string) []shard.Peer
	// Peers returns the other members, by name.
	Peers() []shard.Peer
	// Ring returns the ring, nil if there is none, its members in their order, and
	// what is closed as soon as there is another.
	Ring() (r *ring.Ring, members []shard.Peer, changed <-chan struct{})
	// Hear takes the word of another owner that tenants are active there.
	Hear(tenants []shard.Activity)
}

// Holding is what this node, and others, hold of tenants, whoever owns them.
type Holding interface {
	// Holds reports whether a tenant is active on this node, owned or not.
	Holds(tenant string) bool
	// Sources returns the nodes to peek at for a tenant that is not settled here, none
	// if it is; Holders those that may hold it.
	Sources(tenant string) []shard.Peer
	Holders(tenant string) []shard.Peer
	// Definition returns how a kind is defined here; false: it is not, or nothing of it
	// is kept.
	Definition(kind string) (d shard.Definition, ok bool)
	// Peek answers from what is held and known current, and leaves no trace.
	Peek(tenant string, d shard.Definition, key string) (a cache.Answer, ok bool)
}

// Handoff is what moves tenants from node to node.
type Handoff interface {
	Holding
	// Export hands a tenant over.
	//
	// Errors: shard.ErrNotHeld, those of to and of ctx.
	Export(ctx context.Context, tenant string, wanted []shard.Definition, pageBytes int, to shard.Receiver) (cache.End, error)
	// Fence returns for which of the tenants what was published before has been
	// applied.
	Fence(ctx context.Context, tenants []string) ([]string, error)
	// States returns where tenants are in their life here, TakeOver too, when it has
	// activated those that are owned here and that the node of a name hands over.
	States(tenants []string) []shard.State
	TakeOver(from string, tenants []shard.Activity) []shard.State
	// Tenants gives the active tenants page by page, the most read first.
	Tenants(page func([]shard.Activity) error) error
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
