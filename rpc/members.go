package rpc

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
	"github.com/tenantry/tenantry/shard"
)

// Member is a node as this one sees it.
type Member struct {
	Name, Zone, Version, Algorithm string
	// Address and GossipAddress are host:port.
	Address, GossipAddress string
	State                  tenantryv1.Member_State
	// InState is the time since this node first saw it so.
	InState time.Duration
	Epoch   uint64
	BusLive bool
}

func (m *Member) message() *tenantryv1.Member {
	message := &tenantryv1.Member{
		Name: m.Name, Zone: m.Zone, RpcAddress: m.Address, GossipAddress: m.GossipAddress, State: m.State, Version: m.Version,
		Epoch: m.Epoch, Algorithm: m.Algorithm, BusLive: m.BusLive,
	}
	if m.InState > 0 {
		message.InState = durationpb.New(m.InState)
	}
	return message
}

// tellTimeout is how long the other members may take to tell how many tenants they
// have; who does not is shown without.
const tellTimeout = time.Second

// ListMembers returns the members as this node sees them; asked by another node,
// this one alone.
func (s *clusterService) ListMembers(ctx context.Context, req *tenantryv1.ListMembersRequest) (*tenantryv1.ListMembersResponse, error) {
	if _, err := allowScope(ctx, ScopeRead); err != nil {
		return nil, err
	}
	res := &tenantryv1.ListMembersResponse{Node: s.name, Epoch: s.epoch()}
	self := s.node.Member()
	counts := map[string]tenantCount{s.name: {uint64(self.ActiveTenants), uint64(self.LoadingTenants)}}
	s.countTenants(ctx, req, counts)
	for _, m := range s.members() {
		if m.Name != s.name && isForwarded(ctx) {
			continue
		}
		message := m.message()
		message.ActiveTenants, message.LoadingTenants = counts[m.Name].active, counts[m.Name].loading
		res.Members = append(res.Members, message)
	}
	return res, nil
}

// tenantCount is how many tenants a member has.
type tenantCount struct{ active, loading uint64 }

// countTenants asks the other members how many tenants they have.
func (s *clusterService) countTenants(ctx context.Context, req *tenantryv1.ListMembersRequest, counts map[string]tenantCount) {
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	answers, _ := askAll(ctx, s, s.others(ctx, s.node.Peers), tenantryv1connect.ClusterServiceClient.ListMembers,
		func(shard.Peer) *tenantryv1.ListMembersRequest { return req })
	for _, res := range answers {
		for _, m := range res.GetMembers() {
			counts[m.GetName()] = tenantCount{m.GetActiveTenants(), m.GetLoadingTenants()}
		}
	}
}

// alone returns the only member of a node without a cluster.
func alone(self Member, r *reader) func() []Member {
	return func() []Member {
		self, m := self, r.node.Member()
		self.Epoch = r.epoch()
		self.State, self.BusLive = memberState(m.State), m.BusLive
		return []Member{self}
	}
}

func memberState(s shard.MemberState) tenantryv1.Member_State {
	return [...]tenantryv1.Member_State{
		shard.Joining: tenantryv1.Member_STATE_JOINING, shard.Ready: tenantryv1.Member_STATE_READY,
		shard.Departing: tenantryv1.Member_STATE_DRAINING,
	}[s]
}
