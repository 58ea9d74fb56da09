package rpctest

import (
	"maps"
	"slices"
	"strings"

	"github.com/tenantry/tenantry/shard"
)

// Operation is one thing that a [Node] was told to do: "invalidate" or "drop".
type Operation struct {
	What string
	Entry
}

// Activate makes a tenant active, as it is described.
func (n *Node) Activate(d shard.Description) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.tenants == nil {
		n.tenants = make(map[string]shard.Description)
	}
	n.tenants[d.Name] = d
}

// Member describes a node that is ready, or drains if there are reasons.
func (n *Node) Member() shard.Member {
	n.mu.Lock()
	defer n.mu.Unlock()
	m := shard.Member{State: shard.Ready, BusLive: len(n.degraded) == 0, ActiveTenants: len(n.tenants)}
	if len(n.reasons) > 0 {
		m.State = shard.Departing
	}
	return m
}

// Describe returns what [Node.Activate] told, or a cold tenant.
func (n *Node) Describe(tenant string) shard.Description {
	n.mu.Lock()
	defer n.mu.Unlock()
	if d, ok := n.tenants[tenant]; ok {
		return d
	}
	return shard.Description{Summary: shard.Summary{Name: tenant}}
}

// List lists the active tenants.
func (n *Node) List(after, prefix string, limit int, match func(tenant string) bool) (page []shard.Summary, next string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(n.tenants)) {
		if name <= after || !strings.HasPrefix(name, prefix) || !match(name) {
			continue
		}
		if len(page) == limit {
			return page, page[limit-1].Name
		}
		page = append(page, n.tenants[name].Summary)
	}
	return page, ""
}

// Invalidate records what it is told. The kind "none" is unknown, and "history"
// on-demand.
func (n *Node) Invalidate(tenant, kind, key string) (active bool, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch kind {
	case "none":
		return false, &shard.UnknownKindError{Kind: kind, Known: []string{"role", "user"}}
	case "history":
		return false, shard.ErrNothingKept
	}
	n.operated = append(n.operated, Operation{"invalidate", Entry{tenant, kind, key}})
	_, active = n.tenants[tenant]
	return active, nil
}

// Drop records what it is told, and makes the tenant cold.
func (n *Node) Drop(tenant string) (active bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.operated = append(n.operated, Operation{"drop", Entry{Tenant: tenant}})
	_, active = n.tenants[tenant]
	delete(n.tenants, tenant)
	return active
}

// Operations returns what the node was told to do so far, in order, and forgets
// it.
func (n *Node) Operations() []Operation {
	n.mu.Lock()
	defer n.mu.Unlock()
	operated := n.operated
	n.operated = nil
	return operated
}
