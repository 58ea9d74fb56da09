package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/cespare/xxhash/v2"

	"github.com/tenantry/tenantry/cache"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
)

// tenantHeader names the tenant of a request whose path does not.
const tenantHeader = "X-Tenant-Id"

// facade is the REST side of the rpc port.
type facade struct {
	*edge
	*reader
	passer Passer
	routes []route
}

// route is one path and what answers it.
type route struct {
	pattern []string
	answer  answerFunc
	metrics *methodMetrics
}

// answerFunc answers a request; args are what the pattern matched.
type answerFunc func(ctx context.Context, r *http.Request, args []string) (answer, error)

// answer is what a route answers with.
type answer interface {
	// code is what is counted; 0 for a success.
	code() connect.Code
	send(w http.ResponseWriter, r *http.Request)
}

// reply is a JSON document with its freshness.
type reply struct {
	body  []byte
	state cache.State
	age   time.Duration
	by    string // the node that answered; empty: this one
}

func (f *facade) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := segments(r.URL)
	for i := range f.routes {
		if args, ok := match(f.routes[i].pattern, parts); ok {
			f.serve(w, r, &f.routes[i], args)
			return
		}
	}
	writeError(w, http.StatusNotFound, "no such path")
}

// serve answers one request of a route.
func (f *facade) serve(w http.ResponseWriter, r *http.Request, to *route, args []string) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		writeError(w, http.StatusMethodNotAllowed, "only GET and HEAD")
		return
	}
	start := time.Now()
	answer, err := f.answer(r, to, args)
	w.Header().Set("Tenantry-Node", f.name)
	if err != nil {
		fault := f.edge.report(err)
		to.metrics.failed(start, fault.code)
		f.writeFault(w, fault, err)
		return
	}
	to.metrics.ended(start, answer.code())
	answer.send(w, r)
}

// answer authenticates and calls the route, whose panics become errors.
func (f *facade) answer(r *http.Request, to *route, args []string) (_ answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{p, debug.Stack()}
		}
	}()
	ctx, err := f.identify(r.Context(), r.Header)
	if err != nil {
		return nil, err
	}
	return to.answer(ctx, r, args)
}

func (answer reply) code() connect.Code { return 0 }

// send sends a document, or nothing if the caller has it already.
func (answer reply) send(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if answer.by != "" {
		h.Set("Tenantry-Node", answer.by)
	}
	setFreshness(h, answer.state, answer.age)
	setCaching(h)
	etag := `"` + strconv.FormatUint(xxhash.Sum64(answer.body), 16) + `"`
	h.Set("ETag", etag)
	if matches(r.Header.Values("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	writeJSON(w, http.StatusOK, answer.body)
}

// setCaching says that whoever keeps an answer, an absence included, must ask again,
// and not for another tenant.
func setCaching(h http.Header) {
	h.Set("Cache-Control", "private, no-cache")
	h.Add("Vary", tenantHeader+", Authorization") // beside what CORS varies by
}

func setFreshness(h http.Header, state cache.State, age time.Duration) {
	h.Set("Tenantry-Freshness", state.String())
	h.Set("Age", strconv.FormatInt(int64(max(age, 0)/time.Second), 10))
}

// matches reports whether an If-None-Match header names the tag, by the weak
// comparison that it asks for.
func matches(values []string, etag string) bool {
	for _, value := range values {
		for tag := range strings.SplitSeq(value, ",") {
			tag = strings.TrimSpace(tag)
			if tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
				return true
			}
		}
	}
	return false
}

func (f *facade) writeFault(w http.ResponseWriter, fault fault, err error) {
	setCaching(w.Header())
	if fault.freshness != nil {
		setFreshness(w.Header(), stateOf(fault.freshness), fault.freshness.GetAge().AsDuration())
	}
	if fault.status == http.StatusServiceUnavailable || fault.status == http.StatusTooManyRequests {
		fault.retry = max(fault.retry, defaultRetry)
		w.Header().Set("Retry-After", fault.retryAfter())
	}
	if fault.code == connect.CodeUnauthenticated {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	if e, ok := errors.AsType[*notConfiguredError](err); ok {
		body, _ := marshal(struct {
			Error     string `json:"error"`
			Operation string `json:"operation"`
		}{fault.message, e.operation})
		writeJSON(w, fault.status, body)
		return
	}
	writeError(w, fault.status, fault.message)
}

func stateOf(m *tenantryv1.Freshness) cache.State { return cache.State(m.GetState() - 1) }

func writeError(w http.ResponseWriter, status int, message string) {
	body, _ := marshal(struct {
		Error string `json:"error"`
	}{message})
	writeJSON(w, status, body)
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller has gone
}

// marshal writes JSON in which raw members and "<" stay as they are.
func marshal(v any) ([]byte, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return []byte(strings.TrimSuffix(b.String(), "\n")), err
}
