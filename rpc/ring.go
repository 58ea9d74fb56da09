package rpc

import (
	"context"
	"strings"
	"time"

	"connectrpc.com/connect"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/shard"
	"github.com/tenantry/tenantry/shard/ring"
)

// owners is who owns a tenant, the primary first. Without a ring it is this node.
type owners struct {
	names     []string
	partition int
}

func (r *reader) owners(tenant string) (o owners) {
	if at, _, _ := r.node.Ring(); at != nil {
		o.partition = at.Partition(tenant)
		o.names = at.Names(at.Owners(o.partition))
	} else {
		o.names = []string{r.name}
	}
	return o
}

// GetRing returns the ring of this node, and the owners of a tenant.
func (s *clusterService) GetRing(ctx context.Context, req *tenantryv1.GetRingRequest) (*tenantryv1.GetRingResponse, error) {
	if _, err := allowScope(ctx, ScopeRead); err != nil {
		return nil, err
	}
	at, members, _ := s.node.Ring()
	res := &tenantryv1.GetRingResponse{}
	if at != nil {
		if res.Epoch = at.Epoch(); req.GetKnownEpoch() != res.Epoch {
			res.Ring = ringMessage(at, members)
		}
	}
	if tenant := req.GetTenant(); tenant != "" {
		if err := validateTenant("tenant", tenant); err != nil {
			return nil, err
		}
		if err := allow(ctx, tenant, ScopeRead); err != nil {
			return nil, err
		}
		o := s.owners(tenant)
		res.Partition, res.Owners = uint32(o.partition), o.names
	}
	return res, nil
}

// ringAlive is the time between two signs of life of a stream on which nothing
// changes.
const ringAlive = 15 * time.Second

// WatchRing sends the ring now and after each change, until the caller or the
// server ends.
func (s *clusterService) WatchRing(ctx context.Context, req *tenantryv1.WatchRingRequest, stream *connect.ServerStream[tenantryv1.WatchRingResponse]) error {
	if _, err := allowScope(ctx, ScopeRead); err != nil {
		return err
	}
	if err := stream.Send(nil); err != nil { // the headers: the caller need not wait for a change to know that it watches
		return err
	}
	alive := time.NewTicker(ringAlive)
	defer alive.Stop()
	known := req.GetKnownEpoch()
	for {
		at, members, changed := s.node.Ring()
		if at != nil && at.Epoch() != known {
			known = at.Epoch()
			if err := stream.Send(&tenantryv1.WatchRingResponse{Ring: ringMessage(at, members)}); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-alive.C:
			if err := stream.Send(&tenantryv1.WatchRingResponse{}); err != nil {
				return err
			}
		case <-stopping(ctx):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func ringMessage(r *ring.Ring, members []shard.Peer) *tenantryv1.Ring {
	settings := r.Settings()
	m := &tenantryv1.Ring{
		Epoch: r.Epoch(), Algorithm: r.Algorithm(), VirtualNodes: uint32(settings.VirtualNodes), Load: settings.Load,
		Replicas: uint32(r.Replicas()), Partitions: uint32(r.Partitions()), Owners: r.Table(),
	}
	for i := range members {
		m.Members = append(m.Members, &tenantryv1.RingMember{
			Name: members[i].Name, Zone: members[i].Zone, RpcAddress: hostOf(members[i].URL),
		})
	}
	return m
}

// hostOf returns host:port of a URL.
func hostOf(url string) string {
	if _, host, ok := strings.Cut(url, "://"); ok {
		return host
	}
	return url
}
