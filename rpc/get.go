package rpc

import (
	"context"
	"time"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
)

// cacheService serves entries as they are.
type cacheService struct {
	tenantryv1connect.UnimplementedCacheServiceHandler
	*reader
}

func (s *cacheService) Get(ctx context.Context, req *tenantryv1.GetRequest) (*tenantryv1.GetResponse, error) {
	e := entry{req.GetTenant(), req.GetKind(), req.GetKey()}
	a, err := s.read(ctx, e, "key", req)
	if err != nil {
		return nil, err
	}
	return s.getResponse(e, &a), nil
}

// getResponse builds the whole response in one allocation.
func (r *reader) getResponse(e entry, a *found) *tenantryv1.GetResponse {
	m := &struct {
		response  tenantryv1.GetResponse
		freshness freshness
	}{}
	m.response.Value = a.Value
	m.response.Freshness = r.stamp(m.freshness.fill(r.boot, e, a, time.Now()), a.remote)
	return &m.response
}
