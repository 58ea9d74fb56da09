package rpc

import (
	"log/slog"
	"net/http"
	"strings"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantry/tenantry/proto/gen/grpc/health/v1/healthv1connect"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
	"github.com/tenantry/tenantry/rpc/peers"
)

// Config configures the handler of the rpc port. Node, Readiness and
// Authenticate are required.
type Config struct {
	Node      Node
	Readiness Readiness
	// Passer passes on-demand kinds on to the origin. Nil: they are unimplemented.
	Passer Passer
	// Authenticate finds out who asks. Nil: nobody is let in.
	Authenticate Authenticate
	// Name of the node, as its answers give it.
	Name string
	// Version of the binary, Zone and Address (host:port of the rpc port, as
	// others reach it): what ListMembers tells of a node that is alone. Default: not
	// told.
	Version, Zone, Address string
	// Members returns the members of the cluster. Default: this node is alone.
	Members func() []Member
	// Drain has the node leave, and returns at once. Default: it cannot be.
	Drain func()
	// Epoch of the ring the node has. Default: always 0, no ring.
	Epoch func() uint64
	// Peers asks the nodes that own what this one does not. Default: there are none.
	Peers *peers.Peers
	// Secrets are what other nodes show to be known as nodes; none: nobody is.
	Secrets []string
	// Logger gets what callers must not see. Default: discarded.
	Logger *slog.Logger
	// CORSOrigins are the web pages that may ask from a browser, such as
	// "https://app.example.com"; one "*" in each stands for anything. Default:
	// none but those that the browser lets ask anyway.
	CORSOrigins []string
	// Registerer gets the metrics. Default: none.
	Registerer prometheus.Registerer
}

// NewHandler returns the handler of the rpc port.
func NewHandler(cfg Config) http.Handler {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Epoch == nil {
		cfg.Epoch = func() uint64 { return 0 }
	}
	e := &edge{authenticate: cfg.Authenticate, secrets: cfg.Secrets, metrics: newMetrics(cfg.Registerer), log: cfg.Logger}
	r := &reader{node: cfg.Node, name: cfg.Name, epoch: cfg.Epoch, boot: newBoot(), report: e.report}
	if cfg.Peers != nil {
		r.peers = cfg.Peers
	}
	h := &handler{services: make(map[string]http.Handler), rest: newFacade(e, r, cfg.Passer)}
	h.cluster = newClusterService(&cfg, r)
	h.mountServices(e, r, cfg.Readiness)
	return withCORS(h, cfg.CORSOrigins)
}

func newClusterService(cfg *Config, r *reader) *clusterService {
	s := &clusterService{reader: r, members: cfg.Members, drain: cfg.Drain}
	if cfg.Peers != nil {
		s.calls = cfg.Peers
	}
	if s.members == nil {
		s.members = alone(Member{Name: cfg.Name, Zone: cfg.Zone, Address: cfg.Address, Version: cfg.Version}, r)
	}
	return s
}

// handler routes by the service that a path begins with; every other path is
// for the REST facade. A ServeMux would clean paths and redirect.
type handler struct {
	services map[string]http.Handler
	rest     http.Handler
	cluster  *clusterService
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if service, _, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); ok {
		if s := h.services[service]; s != nil {
			s.ServeHTTP(w, r)
			return
		}
	}
	h.rest.ServeHTTP(w, r)
}

// mountServices mounts what is served to callers, and PeerService, which is for
// nodes and not shown by reflection.
func (h *handler) mountServices(e *edge, r *reader, readiness Readiness) {
	names := []string{
		tenantryv1connect.CacheServiceName, tenantryv1connect.EntitlementServiceName,
		tenantryv1connect.ClusterServiceName, healthv1connect.HealthName,
	}
	health := &healthService{readiness: readiness, services: make(map[string]bool)}
	for _, name := range names {
		health.services[name] = true
	}
	options := connect.WithHandlerOptions(e.options(), compression(), connect.WithCodec(codec{}))
	h.mount(tenantryv1connect.NewCacheServiceHandler(&cacheService{reader: r}, options))
	h.mount(tenantryv1connect.NewEntitlementServiceHandler(&entitlementService{reader: r}, options))
	h.mount(tenantryv1connect.NewClusterServiceHandler(h.cluster, options))
	path, peer := tenantryv1connect.NewPeerServiceHandler(&peerService{reader: r}, options)
	h.mount(path, gather(peer))
	h.mount(healthv1connect.NewHealthHandler(health, options))
	reflector := grpcreflect.NewStaticReflector(names...)
	h.mount(grpcreflect.NewHandlerV1(reflector, options))
	h.mount(grpcreflect.NewHandlerV1Alpha(reflector, options))
}

func (h *handler) mount(path string, service http.Handler) {
	h.services[strings.Trim(path, "/")] = service
}
