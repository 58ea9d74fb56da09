package rpc

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
	"github.com/tenantry/tenantry/shard"
)

const (
	// askTimeout is how long another node may take for an operator's call.
	askTimeout = 5 * time.Second
	// askWidth bounds the nodes that are asked at the same time.
	askWidth = 32
)

// unreachableError says that a node that a call concerns did not take it.
type unreachableError struct {
	node  string
	cause error
}

func (e *unreachableError) Error() string {
	return "node " + e.node + " could not be reached; nothing is wrong with asking again"
}
func (e *unreachableError) Unwrap() error { return e.cause }

// unreachable is the error of a call that a node did not take, unless the caller did
// not wait for it.
func unreachable(ctx context.Context, node string, cause error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return &unreachableError{node, cause}
}

// method is one of the ClusterService, as its client has it.
type method[Req, Res any] func(tenantryv1connect.ClusterServiceClient, context.Context, Req) (Res, error)

// ask passes a call on to a node.
func ask[Req, Res any](ctx context.Context, s *clusterService, to shard.Peer, m method[Req, Res], req Req) (Res, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return m(s.calls.Cluster(to), ctx, req)
}

// askAll passes a call on to several nodes at the same time, and returns their
// answers in the order of the nodes; those of nodes that failed are nil.
func askAll[Req, Res any](ctx context.Context, s *clusterService, to []shard.Peer, m method[Req, *Res], req func(shard.Peer) Req) ([]*Res, []error) {
	answers, errs := make([]*Res, len(to)), make([]error, len(to))
	var g errgroup.Group
	g.SetLimit(askWidth)
	for i, peer := range to {
		g.Go(func() error {
			answers[i], errs[i] = ask(ctx, s, peer, m, req(peer))
			return nil
		})
	}
	_ = g.Wait()
	return answers, errs
}

// onAll passes a change on to several nodes, and returns the names of those that
// made it. All of them are asked; an error is that of one that did not answer.
func onAll[Req any, Res any, P interface {
	*Res
	GetNodes() []string
}](ctx context.Context, s *clusterService, to []shard.Peer, m method[Req, P], req Req) (nodes []string, err error) {
	answers, errs := askAll(ctx, s, to, func(c tenantryv1connect.ClusterServiceClient, ctx context.Context, req Req) (*Res, error) {
		return m(c, ctx, req)
	}, func(shard.Peer) Req { return req })
	for i := range to {
		if errs[i] != nil {
			return nil, unreachable(ctx, to[i].Name, errs[i])
		}
		nodes = append(nodes, P(answers[i]).GetNodes()...)
	}
	return nodes, nil
}

// nodes names the nodes that did what was asked, this one among them if it did.
func (s *clusterService) nodes(did bool, others []string) []string {
	if did {
		others = append(others, s.name)
	}
	slices.Sort(others)
	return others
}
