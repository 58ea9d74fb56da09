package client

import (
	"context"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
)

// Defaults of a client made without an HTTP client.
const (
	dialTimeout = 3 * time.Second
	// idleConns is how many connections are kept to a node, as many as calls
	// are usually in work at the same time. HTTP/1.1 with a pool carries more
	// than one HTTP/2 connection does.
	idleConns   = 256
	idleTimeout = 90 * time.Second
)

// Client reads through one node, and operates it. Make it with [New].
type Client struct {
	cache       tenantryv1connect.CacheServiceClient
	entitlement tenantryv1connect.EntitlementServiceClient
	cluster     tenantryv1connect.ClusterServiceClient
}

// New returns a client of the node at a base URL, such as
// "http://127.0.0.1:7070". It does not connect yet. httpClient may be nil: calls
// then use a pool of HTTP/1.1 connections. Options are Connect's, such as
// connect.WithInterceptors or connect.WithGRPC.
func New(baseURL string, httpClient connect.HTTPClient, options ...connect.ClientOption) *Client {
	if httpClient == nil {
		httpClient = pooled()
	}
	// Answers are small: decompressing costs more than it saves.
	options = append([]connect.ClientOption{connect.WithAcceptCompression("gzip", nil, nil)}, options...)
	return &Client{
		cache:       tenantryv1connect.NewCacheServiceClient(httpClient, baseURL, options...),
		entitlement: tenantryv1connect.NewEntitlementServiceClient(httpClient, baseURL, options...),
		cluster:     tenantryv1connect.NewClusterServiceClient(httpClient, baseURL, options...),
	}
}

func pooled() *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
		MaxIdleConns:        0, // no bound over all nodes
		MaxIdleConnsPerHost: idleConns,
		IdleConnTimeout:     idleTimeout,
		DisableCompression:  true,
	}}
}

// Entry is an answer.
type Entry struct {
	// Value is the canonical JSON value.
	Value []byte
	// Freshness says how far it can be trusted.
	Freshness *tenantryv1.Freshness
}

// Get reads one entry.
//
// Errors: [ErrNotFound], [ErrInvalid], [ErrUnknownKind], [ErrDenied],
// [ErrLimit], [*UnavailableError], those of ctx.
func (c *Client) Get(ctx context.Context, tenant, kind, key string, options ...Option) (Entry, error) {
	req := &tenantryv1.GetRequest{Tenant: tenant, Kind: kind, Key: key}
	for _, o := range options {
		o(req)
	}
	res, err := c.cache.Get(ctx, req)
	if err != nil {
		return Entry{}, typed(err)
	}
	return Entry{Value: res.GetValue(), Freshness: res.GetFreshness()}, nil
}

// Option narrows what a [Client.Get] may be answered with.
type Option func(*tenantryv1.GetRequest)

// MaxAge bounds the time since the entry was last verified; 0 reads the origin.
func MaxAge(d time.Duration) Option {
	return func(r *tenantryv1.GetRequest) { r.MaxAge = durationpb.New(d) }
}

// MinVersion refuses lower versions.
func MinVersion(v uint64) Option {
	return func(r *tenantryv1.GetRequest) { r.MinVersion = v }
}

// After refuses what is older than an earlier answer for the same entry.
func After(f *tenantryv1.Freshness) Option {
	return func(r *tenantryv1.GetRequest) { r.After = f.GetToken() }
}

// Item names an entry of a tenant.
type Item struct{ Kind, Key string }

// Result is the answer for one item: an entry, or why there is none.
type Result struct {
	Entry
	// Err is nil or an error as [Client.Get] returns it.
	Err error
}

// BatchGet reads up to 1,000 entries of one tenant, and returns a result for
// each in their order. The error is that of the whole call.
func (c *Client) BatchGet(ctx context.Context, tenant string, items ...Item) ([]Result, error) {
	res, err := c.cache.BatchGet(ctx, batchRequest(tenant, items))
	if err != nil {
		return nil, typed(err)
	}
	results := make([]Result, len(res.GetResults()))
	for i, r := range res.GetResults() {
		results[i].Entry = Entry{Value: r.GetValue(), Freshness: r.GetFreshness()}
		if f := r.GetFreshness(); f != nil {
			f.Node, f.Epoch = res.GetNode(), res.GetEpoch()
		}
		if e := r.GetError(); e != nil {
			results[i].Err = typedItem(e)
		}
	}
	return results, nil
}

func batchRequest(tenant string, items []Item) *tenantryv1.BatchGetRequest {
	slab := make([]tenantryv1.BatchGetItem, len(items))
	req := &tenantryv1.BatchGetRequest{Tenant: tenant, Items: make([]*tenantryv1.BatchGetItem, len(items))}
	for i, item := range items {
		slab[i].Kind, slab[i].Key = item.Kind, item.Key
		req.Items[i] = &slab[i]
	}
	return req
}
