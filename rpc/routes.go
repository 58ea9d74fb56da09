package rpc

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// newFacade returns the REST side with all its routes.
func newFacade(e *edge, r *reader, p Passer) *facade {
	f := &facade{edge: e, reader: r, passer: p}
	f.route("/api/credits/check/{operation}", f.credits)
	f.route("/api/authorize/{operation}", f.authorization)
	f.route("/api/users/{userId}", f.document(kindUser, "userId"))
	f.route("/api/users/{userId}/status", f.userStatus)
	f.route("/api/hierarchy/{entityId}", f.document(kindHierarchy, "entityId"))
	f.route("/api/roles/{roleId}/permissions", f.permissions)
	f.route("/api/configs/{name}", f.config)
	f.route("/v1/tenants/{tenant}/entries/{kind}/{key}", f.entry)
	f.pass("/api/history/{path...}", kindHistory)
	f.pass("/api/audit-logs/{path...}", kindAuditLog)
	return f
}

// route adds a route whose answers are documents.
func (f *facade) route(pattern string, document func(context.Context, *http.Request, []string) (reply, error)) {
	f.add(pattern, func(ctx context.Context, r *http.Request, args []string) (answer, error) {
		return document(ctx, r, args)
	})
}

func (f *facade) add(pattern string, answer answerFunc) {
	f.routes = append(f.routes, route{
		pattern: strings.Split(pattern[1:], "/"), answer: answer, metrics: f.metrics.of(pattern),
	})
}

// tenantOf returns the tenant of a request whose path names none: what the
// header says, or the only tenant of the caller.
func tenantOf(ctx context.Context, r *http.Request) (string, error) {
	values := r.Header.Values(tenantHeader)
	if len(values) > 1 {
		return "", &fieldError{tenantHeader, "given more than once"}
	}
	if len(values) == 1 {
		return values[0], validateTenant(tenantHeader, values[0])
	}
	if c := callerOf(ctx); c != nil && !c.AllTenants && len(c.Tenants) == 1 {
		return c.Tenants[0], nil
	}
	return "", &fieldError{tenantHeader, "missing"}
}

func (f *facade) entry(ctx context.Context, _ *http.Request, args []string) (reply, error) {
	a, err := f.read(ctx, entry{args[0], args[1], args[2]}, "key", unbounded())
	return replyOf(a), err
}

func replyOf(a found) reply {
	by := ""
	if a.remote != nil {
		by = a.remote.node
	}
	return reply{body: a.Value, state: a.State, age: a.Age, by: by}
}

// document answers with an entry of a kind as it is.
func (f *facade) document(kind, field string) func(context.Context, *http.Request, []string) (reply, error) {
	return func(ctx context.Context, r *http.Request, args []string) (reply, error) {
		tenant, err := tenantOf(ctx, r)
		if err != nil {
			return reply{}, err
		}
		a, err := f.read(ctx, entry{tenant, kind, args[0]}, field, unbounded())
		return replyOf(a), err
	}
}

// member answers with an entry of which body makes the answer's document.
func (f *facade) member(ctx context.Context, r *http.Request, kind, field, key string, body func(entry, []byte) (any, error)) (reply, error) {
	tenant, err := tenantOf(ctx, r)
	if err != nil {
		return reply{}, err
	}
	e := entry{tenant, kind, key}
	a, err := f.read(ctx, e, field, unbounded())
	if err != nil {
		return reply{}, err
	}
	document, err := body(e, a.Value)
	if err != nil {
		return reply{}, err
	}
	answer := replyOf(a)
	answer.body, err = marshal(document)
	return answer, err
}

func (f *facade) permissions(ctx context.Context, r *http.Request, args []string) (reply, error) {
	return f.member(ctx, r, kindRole, "roleId", args[0], func(e entry, value []byte) (any, error) {
		_, raw, err := permissionsOf(e, value)
		return struct {
			RoleID      string          `json:"roleId"`
			Permissions json.RawMessage `json:"permissions"`
		}{e.key, raw}, err
	})
}

func (f *facade) userStatus(ctx context.Context, r *http.Request, args []string) (reply, error) {
	return f.member(ctx, r, kindUserStatus, "userId", args[0], func(e entry, value []byte) (any, error) {
		u, err := statusOf(e, value)
		return struct {
			UserID string          `json:"userId"`
			Status json.RawMessage `json:"status"`
			Roles  json.RawMessage `json:"roles"`
		}{e.key, u.rawStatus, u.rawList}, err
	})
}

func (f *facade) config(ctx context.Context, r *http.Request, args []string) (reply, error) {
	return f.member(ctx, r, kindConfig, "name", args[0], func(e entry, value []byte) (any, error) {
		raw, err := configOf(e, value)
		return struct {
			Name  string          `json:"name"`
			Value json.RawMessage `json:"value"`
		}{e.key, raw}, err
	})
}

func (f *facade) authorization(ctx context.Context, r *http.Request, args []string) (reply, error) {
	tenant, err := tenantOf(ctx, r)
	if err != nil {
		return reply{}, err
	}
	user, err := userOf(r.URL)
	if err != nil {
		return reply{}, err
	}
	a, err := f.authorize(ctx, &authorizeQuestion{tenant: tenant, operation: args[0], user: user, userField: "userId"})
	if err != nil {
		return reply{}, err
	}
	body, err := marshal(struct {
		Allowed          bool            `json:"allowed"`
		Reasons          []string        `json:"reasons"`
		CreditCost       json.RawMessage `json:"creditCost,omitempty"`
		AvailableCredits json.RawMessage `json:"availableCredits,omitempty"`
	}{len(a.reasons) == 0, orEmpty(a.reasons), a.rawCost, a.rawAvailable})
	return reply{body: body, state: a.composed.worst.State, age: a.composed.worst.Age, by: a.composed.node()}, err
}

func (f *facade) credits(ctx context.Context, r *http.Request, args []string) (reply, error) {
	tenant, err := tenantOf(ctx, r)
	if err != nil {
		return reply{}, err
	}
	user, err := userOf(r.URL)
	if err != nil {
		return reply{}, err
	}
	c, err := f.checkCredits(ctx, &creditsQuestion{tenant: tenant, operation: args[0], user: user, userField: "userId"})
	if err != nil {
		return reply{}, err
	}
	body, err := marshal(struct {
		Operation        string          `json:"operation"`
		CreditCost       json.RawMessage `json:"creditCost"`
		CanAfford        bool            `json:"canAfford"`
		AvailableCredits json.RawMessage `json:"availableCredits,omitempty"`
	}{args[0], c.rawCost, c.canAfford, c.rawAvailable})
	return reply{body: body, state: c.composed.worst.State, age: c.composed.worst.Age, by: c.composed.node()}, err
}

// userOf returns the user a query names, if it names one. One that is named and
// empty is a mistake: without a user everything can be afforded.
func userOf(u *url.URL) (string, error) {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "", &fieldError{"query", "is not percent-encoded as it should be"}
	}
	switch users, given := query["userId"]; {
	case !given:
		return "", nil
	case len(users) > 1:
		return "", &fieldError{"userId", "given more than once"}
	case users[0] == "":
		return "", &fieldError{"userId", "empty"}
	default:
		return users[0], nil
	}
}
