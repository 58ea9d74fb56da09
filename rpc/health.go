package rpc

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect"

	healthv1 "github.com/tenantry/tenantry/proto/gen/grpc/health/v1"
)

// healthPoll is how often a watch of the health looks for a change.
const healthPoll = time.Second

// healthService is the standard health check. Every service of the node is as
// ready as the node.
type healthService struct {
	readiness Readiness
	services  map[string]bool
}

func (s *healthService) status(service string) healthv1.HealthCheckResponse_ServingStatus {
	if service != "" && !s.services[service] {
		return healthv1.HealthCheckResponse_SERVICE_UNKNOWN
	}
	if ready, _, _ := s.readiness.Readiness(); !ready {
		return healthv1.HealthCheckResponse_NOT_SERVING
	}
	return healthv1.HealthCheckResponse_SERVING
}

func (s *healthService) Check(_ context.Context, req *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
	status := s.status(req.GetService())
	if status == healthv1.HealthCheckResponse_SERVICE_UNKNOWN {
		return nil, connect.NewError(connect.CodeNotFound, errUnknownService)
	}
	return &healthv1.HealthCheckResponse{Status: status}, nil
}

var errUnknownService = errors.New("service: not served here")

// Watch sends the status at once and after each change, until the caller or
// the server ends.
func (s *healthService) Watch(ctx context.Context, req *healthv1.HealthCheckRequest, stream *connect.ServerStream[healthv1.HealthCheckResponse]) error {
	ticker := time.NewTicker(healthPoll)
	defer ticker.Stop()
	last := healthv1.HealthCheckResponse_ServingStatus(-1)
	for {
		if status := s.status(req.GetService()); status != last {
			last = status
			if err := stream.Send(&healthv1.HealthCheckResponse{Status: status}); err != nil {
				return err
			}
		}
		select {
		case <-ticker.C:
		case <-stopping(ctx):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
