package rpc

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tenantry/tenantry/cache"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/shard"
)

// tenantMessage is the description of a tenant as callers get it.
func (s *clusterService) tenantMessage(d *shard.Description) *tenantryv1.GetTenantResponse {
	o := s.owners(d.Name)
	m := &tenantryv1.GetTenantResponse{
		Tenant: d.Name, Node: s.name, Epoch: s.epoch(), Owners: o.names, Partition: uint32(o.partition), State: tenantState(d.State),
		Generation: d.Generation, Doubtful: d.Doubtful, Bytes: uint64(d.Bytes), BytesLimit: uint64(d.BytesLimit),
		Events: d.Events, Evictions: d.Stats.Evictions, OriginRequests: d.Stats.OriginRequests,
		CacheStats: cacheStats(d), Channels: d.Channels, Load: loadMessage(&d.Load), Preloaded: d.Preloaded,
	}
	if d.State != shard.Cold {
		m.InState, m.Idle = durationpb.New(d.InState), durationpb.New(d.Idle)
	}
	if d.Proven {
		m.ProofAge = durationpb.New(d.ProofAge)
	}
	for i := range d.Kinds {
		k := &d.Kinds[i]
		m.Requests += k.Hits + k.Misses
		m.Kinds = append(m.Kinds, kindMessage(k))
	}
	for i := range d.Recent {
		m.LastEvents = append(m.LastEvents, eventMessage(&d.Recent[i]))
	}
	return m
}

// cacheStats sums the reads up by class.
func cacheStats(d *shard.Description) *tenantryv1.CacheStats {
	m := &tenantryv1.CacheStats{AvgResponseTime: durationpb.New(d.Stats.MeanRead)}
	for i := range d.Kinds {
		switch k := &d.Kinds[i]; k.Class {
		case cache.Critical:
			m.CriticalHits += k.Hits
			m.CriticalMisses += k.Misses
		case cache.Reference:
			m.ReferenceHits += k.Hits
			m.ReferenceMisses += k.Misses
		}
	}
	return m
}

func kindMessage(k *shard.KindDescription) *tenantryv1.TenantKind {
	return &tenantryv1.TenantKind{
		Kind: k.Name, Class: k.Class.String(), Entries: uint64(k.Entries), NegativeEntries: uint64(k.Negative),
		Bytes: uint64(k.Bytes), Complete: k.Complete, Hits: k.Hits, Misses: k.Misses, Ttl: durationpb.New(k.TTL),
	}
}

func loadMessage(l *shard.LoadDescription) *tenantryv1.TenantLoad {
	m := &tenantryv1.TenantLoad{Error: l.Fault, MissingKinds: l.Missing, Failures: uint32(l.Failures)}
	if l.Age > 0 {
		m.Age = durationpb.New(l.Age)
	}
	if l.Waits {
		m.RetryIn = durationpb.New(l.RetryIn.Round(time.Millisecond))
	}
	return m
}

func eventMessage(e *shard.Event) *tenantryv1.TenantEvent {
	m := &tenantryv1.TenantEvent{
		Topic: e.Topic, EventId: e.ID, Type: e.Type, Age: durationpb.New(e.Age), Effect: e.Effect,
		Kind: e.Kind, Key: e.Key, Reason: e.Reason,
	}
	if e.Versioned {
		m.Version = &e.Version
	}
	return m
}
