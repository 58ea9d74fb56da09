package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tenantry/tenantry/cache"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
	"github.com/tenantry/tenantry/rpc"
	"github.com/tenantry/tenantry/rpc/peers"
	"github.com/tenantry/tenantry/rpc/rpctest"
	"github.com/tenantry/tenantry/shard"
)

// clusterSecret is what the nodes of a test show each other.
const clusterSecret = "between-the-nodes-of-a-test"

// transcript is a log that may be read at any time.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *transcript) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// member is one node of several.
type member struct {
	*rpctest.Host
	node *rpctest.Node
	peer shard.Peer
	url  string
	http *http.Client
	log  *transcript
}

// members are the nodes n1, n2, … on one network. The first owns nothing, all others
// everything, and all of them know that.
type members struct {
	network rpctest.Network
	all     []*member
}

// assemble starts n nodes; change may change how one is configured.
func assemble(t *testing.T, n int, change func(name string, c *rpc.Config)) *members {
	t.Helper()
	ms := new(members)
	var all []shard.Peer
	for i := range n {
		name := fmt.Sprintf("n%d", i+1)
		all = append(all, shard.Peer{ID: "id-" + name, Name: name, URL: "http://" + name, BusLive: true})
	}
	for i, p := range all {
		m := &member{node: &rpctest.Node{Clock: time.Hour}, peer: p, url: p.URL, http: &http.Client{Transport: &ms.network}, log: new(transcript)}
		log := slog.New(slog.NewTextHandler(m.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		epoch := func() uint64 { return uint64(40 + i) }
		ask := peers.New(peers.Config{Self: p.Name, Epoch: epoch, Secret: clusterSecret, Transport: &ms.network, Logger: log})
		runPeers(t, ask)
		cfg := rpc.Config{
			Node: m.node, Readiness: m.node, Authenticate: rpc.Anonymous, Name: p.Name, Epoch: epoch,
			Peers: ask, Secrets: []string{clusterSecret}, Logger: log,
		}
		if change != nil {
			change(p.Name, &cfg)
		}
		m.Host = ms.network.Serve(p.Name, rpc.NewHandler(cfg))
		others := slices.Delete(slices.Clone(all), i, i+1)
		v := rpctest.View{Peers: others, Others: others}
		if i > 0 {
			v.Owns, v.Others = func(string) bool { return true }, others[1:]
		}
		m.node.See(v)
		ms.all = append(ms.all, m)
	}
	return ms
}

// runPeers runs peers until the end of the test.
func runPeers(t *testing.T, p *peers.Peers) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// together runs a test with n nodes in a bubble.
func together(t *testing.T, n int, test func(t *testing.T, ms *members)) {
	t.Helper()
	inMembers(t, n, nil, test)
}

func inMembers(t *testing.T, n int, change func(name string, c *rpc.Config), test func(t *testing.T, ms *members)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, assemble(t, n, change)) })
}

// set has an owner answer with an entry.
func (ms *members) set(kind, key string, a cache.Answer) {
	for _, m := range ms.all[1:] {
		m.node.Set("acme", kind, key, a)
	}
}

func (m *member) cache(options ...connect.ClientOption) tenantryv1connect.CacheServiceClient {
	return tenantryv1connect.NewCacheServiceClient(m.http, m.url, options...)
}

func (m *member) entitlement() tenantryv1connect.EntitlementServiceClient {
	return tenantryv1connect.NewEntitlementServiceClient(m.http, m.url)
}

func (m *member) get(t *testing.T, req *tenantryv1.GetRequest) *tenantryv1.GetResponse {
	t.Helper()
	if req.Tenant == "" {
		req.Tenant = "acme"
	}
	res, err := m.cache().Get(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// rest sends a GET.
func (m *member) rest(t *testing.T, path string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, m.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Tenant-Id", "acme")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := m.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// fill gives the owners all kinds of entries and errors.
func (ms *members) fill() {
	unversioned := fresh(`{"name":"é"}`)
	unversioned.Versioned, unversioned.Version = false, 0
	stale := fresh("{}")
	stale.State, stale.Age = cache.Stale, time.Hour
	event := fresh("{}")
	event.State, event.Via = cache.Provisional, cache.FromEvent
	origin := fresh(`{"value":[1.50, "<"]}`)
	origin.Via = cache.FromOrigin
	ms.set("credit-config", "crm.leads.create", fresh(`{"cost":3.10}`))
	ms.set("credit-config", "broken", fresh(`{"cost":null}`))
	ms.set("credit-balance", "u1", fresh(`{"availableCredits":3.1}`))
	ms.set("user", "u1", fresh("{\"a\" : \" \\u0000<>&\u2028\"}\n"))
	ms.set("user", "u2", unversioned)
	ms.set("user", "stale", stale)
	ms.set("user", "event", event)
	ms.set("hierarchy", "e1", fresh(`{"entityId":"e1"}`))
	ms.set("role", "admin", fresh(`{"permissions":["crm.*"]}`))
	ms.set("role", "absent", cache.Answer{Absent: true, Age: time.Second, Position: time.Minute})
	ms.set("user-status", "u1", fresh(`{"status":"active","roles":["admin","none"]}`))
	ms.set("config", "c", origin)
	for key, err := range failures() {
		for _, m := range ms.all[1:] {
			m.node.Fail("acme", "user", key, err)
			m.node.Fail("acme", "credit-config", key, err)
		}
	}
}

// failures are all errors of a node.
func failures() map[string]error {
	return map[string]error{
		"kind":        &shard.UnknownKindError{Kind: "user", Known: []string{"role"}},
		"limit":       shard.ErrTenantLimit,
		"old":         cache.ErrTooOld,
		"unavailable": &cache.UnavailableError{RetryAfter: 7 * time.Second, Err: &cache.FaultError{Reason: "timeout", Err: errors.New("10.0.0.1")}},
		"fault":       &cache.FaultError{Reason: "status", RetryAfter: 90 * time.Second, Err: errors.New("10.0.0.1")},
		"bug":         errors.New("10.0.0.1"),
	}
}

// keysOf are the keys of users that fill has, and others.
func keysOf() []string {
	keys := []string{"u1", "u2", "stale", "event", "none", "a\x00", strings.Repeat("x", 512), "ü/ä"}
	for key := range failures() {
		keys = append(keys, key)
	}
	return keys
}

// Whoever asks a node that does not own the tenant gets to the byte what the owner
// would have answered.
func TestForwardedAnswersAreTheOwners(t *testing.T) {
	together(t, 3, func(t *testing.T, ms *members) {
		ms.fill()
		forwards, owner := ms.all[0], ms.all[1]
		for _, key := range keysOf() {
			for _, options := range [][]connect.ClientOption{nil, {connect.WithProtoJSON()}, {connect.WithHTTPGet()}} {
				req := &tenantryv1.GetRequest{Tenant: "acme", Kind: "user", Key: key}
				want, wantErr := owner.cache(options...).Get(t.Context(), req)
				got, err := forwards.cache(options...).Get(t.Context(), req)
				if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
					t.Errorf("%q: %s", key, diff)
				}
				if diff := cmp.Diff(seenOf(wantErr), seenOf(err)); diff != "" {
					t.Errorf("%q: %s", key, diff)
				}
			}
		}
		if reads := forwards.node.Reads(); len(reads) != 0 {
			t.Errorf("read %v", reads)
		}
		if strings.Contains(forwards.log.String(), "10.0.0.1") {
			t.Error("the owner's faults are in the other's log")
		}
	})
}

// seenOf is all that a caller sees of an error.
func seenOf(err error) []string {
	e, ok := errors.AsType[*connect.Error](err)
	if !ok {
		return []string{fmt.Sprint(err)}
	}
	seen := []string{e.Code().String(), e.Message(), e.Meta().Get("Retry-After")}
	for _, d := range e.Details() {
		m, err := d.Value()
		seen = append(seen, fmt.Sprint(d.Type(), m, err))
	}
	return seen
}

func TestForwardedRESTAnswersAreTheOwners(t *testing.T) {
	together(t, 3, func(t *testing.T, ms *members) {
		ms.fill()
		paths := []string{
			"/api/credits/check/crm.leads.create", "/api/credits/check/crm.leads.create?userId=u1", "/api/credits/check/none",
			"/api/credits/check/broken", "/api/credits/check/crm.leads.create?userId=u9", "/api/authorize/crm.leads.create?userId=u1",
			"/api/authorize/none?userId=u9", "/api/authorize/limit?userId=u1", "/api/authorize/unavailable?userId=u1",
			"/api/users/u1/status", "/api/hierarchy/e1", "/api/roles/admin/permissions", "/api/roles/absent/permissions", "/api/configs/c", "/api/configs/none",
		}
		for _, key := range keysOf() {
			paths = append(paths, "/api/users/"+strings.NewReplacer("/", "%2F", "\x00", "%00").Replace(key))
		}
		for _, path := range paths {
			want, wantBody := ms.all[1].rest(t, path)
			got, body := ms.all[0].rest(t, path)
			if got.StatusCode >= 400 {
				want.Header.Del("Tenantry-Node") // who says no
				got.Header.Del("Tenantry-Node")
			}
			if diff := cmp.Diff(want.Header, got.Header); diff != "" || want.StatusCode != got.StatusCode || body != wantBody {
				t.Errorf("%s: %d %q, want %d %q %s", path, got.StatusCode, body, want.StatusCode, wantBody, diff)
			}
			if etag := want.Header.Get("ETag"); etag != "" {
				if got, _ := ms.all[0].rest(t, path, "If-None-Match", etag); got.StatusCode != http.StatusNotModified {
					t.Errorf("%s: %d", path, got.StatusCode)
				}
			}
		}
	})
}

func TestForwardedBatch(t *testing.T) {
	together(t, 3, func(t *testing.T, ms *members) {
		ms.fill()
		ms.all[1].Work(time.Millisecond)
		req := &tenantryv1.BatchGetRequest{Tenant: "acme", MaxAge: durationpb.New(time.Hour)}
		for range 50 {
			for _, key := range keysOf() {
				req.Items = append(req.Items, &tenantryv1.BatchGetItem{Kind: "user", Key: key, MinVersion: 3})
			}
		}
		want, err := ms.all[1].cache().BatchGet(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		ms.all[1].Requests()
		got, err := ms.all[0].cache().BatchGet(t.Context(), req)
		for _, r := range got.GetResults() {
			if r.GetFreshness() != nil {
				r.Freshness.Age = durationpb.New(r.Freshness.GetAge().AsDuration().Truncate(100 * time.Millisecond)) // on the way
				r.Freshness.AsOf = nil
			}
		}
		for _, r := range want.GetResults() {
			if r.GetFreshness() != nil {
				r.Freshness.AsOf = nil
			}
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" || err != nil {
			t.Error(err, diff)
		}
		calls := len(ms.all[1].Requests())
		deferred := 50 * (len(failures()) + 3) // each of them asks for itself; three are absent, and read
		if calls > deferred+40 {
			t.Errorf("%d calls for %d reads", calls, len(req.GetItems()))
		}
	})
}

func TestForwardedFreshness(t *testing.T) {
	together(t, 2, func(t *testing.T, ms *members) {
		ms.set("role", "a", fresh("{}"))
		ms.all[1].Work(20 * time.Millisecond)
		f := ms.all[0].get(t, &tenantryv1.GetRequest{Kind: "role", Key: "a"}).GetFreshness()
		if f.GetAge().AsDuration() != 1520*time.Millisecond || f.GetNode() != "n2" || f.GetEpoch() != 41 || f.GetVersion() != 7 {
			t.Error(f)
		}
		_, err := ms.all[0].cache().Get(t.Context(), &tenantryv1.GetRequest{Tenant: "acme", Kind: "role", Key: "none"})
		e := wantCode(t, err, connect.CodeNotFound, `the origin has no role "none"`)
		absent, err := e.Details()[0].Value()
		if f, ok := absent.(*tenantryv1.Freshness); !ok || err != nil || f.GetNode() != "n2" || f.GetState() != tenantryv1.Freshness_FRESH || f.GetAge().AsDuration() != 20*time.Millisecond {
			t.Error(absent, err)
		}
		res, _ := ms.all[0].rest(t, "/api/users/none")
		if res.StatusCode != http.StatusNotFound || res.Header.Get("Tenantry-Freshness") != "fresh" || res.Header.Get("Age") != "0" {
			t.Error(res.StatusCode, res.Header)
		}
		res, _ = ms.all[0].rest(t, "/v1/tenants/acme/entries/role/a")
		if res.Header.Get("Tenantry-Node") != "n2" || res.Header.Get("Age") != "1" {
			t.Error(res.Header)
		}
	})
}

// What a caller has seen through one node, it sees through every other.
func TestTokensAreGoodOnEveryNode(t *testing.T) {
	versioned, unversioned := fresh("{}"), fresh("{}")
	unversioned.Versioned, unversioned.Version = false, 0
	own := cache.ReadOptions{Position: time.Minute, Settled: time.Minute}
	for name, test := range map[string]struct {
		answer     cache.Answer
		same, none cache.ReadOptions
	}{
		"versioned":   {versioned, cache.ReadOptions{MinVersion: 7, Position: time.Minute, Settled: time.Minute}, cache.ReadOptions{MinVersion: 7}},
		"unversioned": {unversioned, own, cache.ReadOptions{HasMaxAge: true}},
	} {
		t.Run(name, func(t *testing.T) {
			together(t, 3, func(t *testing.T, ms *members) {
				ms.set("role", "a", test.answer)
				tokens := [][]byte{
					ms.all[1].get(t, &tenantryv1.GetRequest{Kind: "role", Key: "a"}).GetFreshness().GetToken(),
					ms.all[0].get(t, &tenantryv1.GetRequest{Kind: "role", Key: "a"}).GetFreshness().GetToken(),
				}
				for _, token := range tokens {
					ms.all[1].node.Recalls()
					ms.all[1].node.Reads()
					ms.all[0].get(t, &tenantryv1.GetRequest{Kind: "role", Key: "a", After: token})
					ms.all[1].get(t, &tenantryv1.GetRequest{Kind: "role", Key: "a", After: token})
					wantOptions(t, "through another", test.same, ms.all[1].node.Recalls())
					wantOptions(t, "directly", test.same, ms.all[1].node.Reads())
					ms.all[1].Kill()
					ms.all[0].get(t, &tenantryv1.GetRequest{Kind: "role", Key: "a", After: token})
					wantOptions(t, "on another", test.none, ms.all[2].node.Recalls())
					ms.all[1].Work(0)
					time.Sleep(time.Second)
				}
				_, err := ms.all[0].cache().Get(t.Context(), &tenantryv1.GetRequest{Tenant: "acme", Kind: "role", Key: "b", After: tokens[1]})
				wantCode(t, err, connect.CodeInvalidArgument, "after: is the token of another entry")
				for _, m := range ms.all[1:] {
					m.node.Clock = time.Second // which the token's position is after
				}
				_, err = ms.all[0].cache().Get(t.Context(), &tenantryv1.GetRequest{Tenant: "acme", Kind: "role", Key: "a", After: tokens[1]})
				wantCode(t, err, connect.CodeInvalidArgument, "after: is not a token")
			})
		})
	}
}

func wantOptions(t *testing.T, how string, want cache.ReadOptions, reads []rpctest.Read) {
	t.Helper()
	if len(reads) != 1 {
		t.Fatalf("%s: read %v", how, reads)
	}
	if diff := cmp.Diff(want, reads[0].Options); diff != "" {
		t.Errorf("%s: %s", how, diff)
	}
}

// A composed answer may come from several nodes. Its token counts on each of them for
// what came from there.
func TestTokensOfComposedAnswers(t *testing.T) {
	together(t, 3, func(t *testing.T, ms *members) {
		ms.fill()
		down := &cache.UnavailableError{}
		ms.all[1].node.Fail("acme", "credit-balance", "u1", down)
		ms.all[1].node.Fail("acme", "role", "admin", down)
		authorize := &tenantryv1.AuthorizeRequest{Tenant: "acme", Operation: "crm.leads.create", UserId: "u1"}
		res, err := ms.all[0].entitlement().Authorize(t.Context(), authorize)
		if err != nil || !res.GetAllowed() || res.GetCreditCost() != "3.10" {
			t.Fatal(res, err)
		}
		credits := &tenantryv1.CheckCreditsRequest{Tenant: "acme", Operation: "crm.leads.create", UserId: "u1"}
		check, err := ms.all[0].entitlement().CheckCredits(t.Context(), credits)
		if err != nil || !check.GetCanAfford() {
			t.Fatal(check, err)
		}
		own := cache.ReadOptions{MinVersion: 7, Position: time.Minute, Settled: time.Minute}
		other := cache.ReadOptions{MinVersion: 7}
		for i, ask := range []func() error{
			func() error {
				authorize.After = res.GetFreshness().GetToken()
				_, err := ms.all[0].entitlement().Authorize(t.Context(), authorize)
				return err
			},
			func() error {
				credits.After = check.GetFreshness().GetToken()
				_, err := ms.all[0].entitlement().CheckCredits(t.Context(), credits)
				return err
			},
		} {
			ms.all[1].node.Recalls()
			ms.all[2].node.Recalls()
			if err := ask(); err != nil {
				t.Fatal(err)
			}
			got := make(map[string]cache.ReadOptions)
			for _, m := range ms.all[1:] {
				for _, r := range m.node.Recalls() {
					got[m.peer.Name+" "+r.Kind] = r.Options
				}
			}
			want := map[string]cache.ReadOptions{"n2 credit-config": own, "n2 credit-balance": other, "n3 credit-balance": own}
			if i == 0 {
				want["n2 user-status"], want["n2 role"], want["n3 role"] = own, other, own
			}
			delete(got, "n3 user-status")
			if i == 0 { // the role that is absent has no version, and is read anew: which of the two stands last is chance
				delete(got, "n2 role")
				delete(want, "n2 role")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		}
	})
}

// Two nodes each of which believes that the other owns the tenant: one hop, and the
// last reads.
func TestOneHopAtMost(t *testing.T) {
	together(t, 2, func(t *testing.T, ms *members) {
		for i, m := range ms.all {
			m.node.See(rpctest.View{Others: []shard.Peer{ms.all[1-i].peer}, Peers: []shard.Peer{ms.all[1-i].peer}})
		}
		origin := fresh(`{"value":1}`)
		origin.Via = cache.FromOrigin
		ms.all[1].node.Set("acme", "user", "u", origin)
		res := ms.all[0].get(t, &tenantryv1.GetRequest{Kind: "user", Key: "u"})
		if string(res.GetValue()) != `{"value":1}` || res.GetFreshness().GetNode() != "n2" {
			t.Error(res)
		}
		batch, err := ms.all[0].cache().BatchGet(t.Context(), &tenantryv1.BatchGetRequest{Tenant: "acme", Items: []*tenantryv1.BatchGetItem{{Kind: "user", Key: "u"}}})
		if err != nil || batch.GetNode() != "n2" {
			t.Error(batch, err)
		}
		ms.all[1].node.Fail("acme", "user", "u", &cache.UnavailableError{})
		_, err = ms.all[0].cache().Get(t.Context(), &tenantryv1.GetRequest{Tenant: "acme", Kind: "user", Key: "u"})
		wantCode(t, err, connect.CodeUnavailable, "")
		if got := len(ms.all[1].node.Reads()); got != 3 {
			t.Errorf("%d reads", got)
		}
		// What a node asks of any other service stays there as well.
		ms.all[1].node.Set("acme", "user", "u", origin)
		for _, path := range []string{"/v1/tenants/acme/entries/user/u", "/tenantry.v1.CacheService/Get?connect=v1&encoding=json&message=%7B%22tenant%22:%22acme%22,%22kind%22:%22user%22,%22key%22:%22u%22%7D"} {
			if res, body := ms.all[1].rest(t, path, peers.SecretHeader, clusterSecret, peers.NodeHeader, "n1"); res.StatusCode != http.StatusOK {
				t.Error(res.StatusCode, body)
			}
		}
		for _, path := range ms.all[0].Requests() {
			if strings.Contains(path, "Peer") && !strings.HasSuffix(path, "/Activity") {
				t.Errorf("came back as %s", path)
			}
		}
		if reads := ms.all[0].node.Reads(); len(reads) != 0 {
			t.Errorf("read %v", reads)
		}
	})
}

func TestNobodyAnswers(t *testing.T) {
	for name, breaks := range map[string]func(*member){
		"refuse":              func(m *member) { m.Kill() },
		"freeze":              func(m *member) { m.Freeze() },
		"are another cluster": func(m *member) { m.peer.URL = "nowhere" },
	} {
		t.Run(name, func(t *testing.T) {
			together(t, 3, func(t *testing.T, ms *members) {
				ms.all[0].node.Set("acme", "user", "u", fresh("here"))
				v := rpctest.View{}
				for _, m := range ms.all[1:] {
					breaks(m)
					v.Others = append(v.Others, m.peer)
				}
				ms.all[0].node.See(v)
				start := time.Now()
				for range 3 {
					res := ms.all[0].get(t, &tenantryv1.GetRequest{Kind: "user", Key: "u"})
					if string(res.GetValue()) != "here" || res.GetFreshness().GetNode() != "n1" {
						t.Error(res)
					}
				}
				if took := time.Since(start); took > time.Second {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// What neither an owner's memory nor the origin gives, another owner may remember.
func TestACoOwnersMemory(t *testing.T) {
	together(t, 3, func(t *testing.T, ms *members) {
		ms.all[1].node.Fail("acme", "user", "u", &cache.UnavailableError{RetryAfter: 3 * time.Second})
		ms.all[2].node.Set("acme", "user", "u", fresh("remembered"))
		res := ms.all[1].get(t, &tenantryv1.GetRequest{Kind: "user", Key: "u"})
		if string(res.GetValue()) != "remembered" || res.GetFreshness().GetNode() != "n3" {
			t.Error(res)
		}
		if reads := ms.all[2].node.Reads(); len(reads) != 0 {
			t.Errorf("the other was made to read %v", reads)
		}
		origin := fresh("not remembered")
		origin.Via = cache.FromOrigin
		ms.all[2].node.Set("acme", "user", "u", origin)
		for _, breaks := range []func(){func() {}, ms.all[2].Freeze, ms.all[2].Kill} {
			breaks()
			_, err := ms.all[1].cache().Get(t.Context(), &tenantryv1.GetRequest{Tenant: "acme", Kind: "user", Key: "u"})
			if e := wantCode(t, err, connect.CodeUnavailable, "the origin cannot be read"); e.Meta().Get("Retry-After") != "3" {
				t.Error(e.Meta())
			}
		}
	})
}

// Owners that come and go under many callers: every answer is right.
func TestForwardingWhileOwnersComeAndGo(t *testing.T) {
	together(t, 3, func(t *testing.T, ms *members) {
		ms.fill()
		ms.all[0].node.Set("acme", "user", "u1", fresh("here"))
		ctx, cancel := context.WithCancel(t.Context())
		var breaking, reading sync.WaitGroup
		breaking.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				m := ms.all[1+i%2]
				[]func(){m.Kill, m.Freeze}[i/2%2]()
				time.Sleep(time.Duration(31*(i%13)) * time.Millisecond)
				m.Work(time.Millisecond)
				time.Sleep(20 * time.Millisecond)
			}
		})
		for range 20 {
			reading.Go(func() {
				for range 50 {
					res, err := ms.all[0].cache().Get(t.Context(), &tenantryv1.GetRequest{Tenant: "acme", Kind: "user", Key: "u1"})
					if err != nil || string(res.GetValue()) == "here" != (res.GetFreshness().GetNode() == "n1") {
						t.Error(res, err)
					}
					time.Sleep(20 * time.Millisecond)
				}
			})
		}
		reading.Wait()
		cancel()
		breaking.Wait()
	})
}

// Large values do not share an answer: it would come too late.
func TestLargeValues(t *testing.T) {
	together(t, 2, func(t *testing.T, ms *members) {
		req := &tenantryv1.BatchGetRequest{Tenant: "acme"}
		value := func(i int) string { return fmt.Sprintf("%d%s", i, strings.Repeat("x", 1<<20)) }
		for i := range 20 {
			key := fmt.Sprint(i)
			ms.set("user", key, fresh(value(i)))
			req.Items = append(req.Items, &tenantryv1.BatchGetItem{Kind: "user", Key: key})
		}
		res, err := ms.all[0].cache().BatchGet(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range res.GetResults() {
			if string(r.GetValue()) != value(i) {
				t.Errorf("%d: %d bytes, %v", i, len(r.GetValue()), r.GetError())
			}
		}
		ask := &tenantryv1.PeerServiceGetRequest{}
		for i := range 20 {
			ask.Reads = append(ask.Reads, &tenantryv1.PeerRead{Tenant: "acme", Kind: "user", Key: fmt.Sprint(i)})
		}
		count := func() (values, deferred, errs int) {
			res, err := tenantryv1connect.NewPeerServiceClient(ms.all[1].http, ms.all[1].url, asNode(clusterSecret)).Get(t.Context(), ask)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range res.GetResults() {
				switch {
				case r.GetDeferred() && r.GetResult() == nil:
					deferred++
				case r.GetResult().GetError().GetCode() == "resource_exhausted" && r.GetResult().GetValue() == nil:
					errs++
				case r.GetResult().GetFreshness() != nil:
					values++
				}
			}
			return values, deferred, errs
		}
		if v, d, e := count(); v != 3 || d != 0 || e != 17 {
			t.Error(v, d, e)
		}
		ask.NoWait = true
		if v, d, e := count(); v != 3 || d != 17 || e != 0 {
			t.Error(v, d, e)
		}
		ms.set("user", "0", fresh(strings.Repeat("x", 8<<20))) // alone it goes, whatever its size
		if v, d, e := count(); v != 1 || d != 19 || e != 0 {
			t.Error(v, d, e)
		}
	})
}

// asNode has a client's calls show a secret.
func asNode(secret string) connect.ClientOption {
	return connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			req.Header().Set(peers.SecretHeader, secret)
			req.Header().Set(peers.NodeHeader, "n1")
			return next(ctx, req)
		}
	}))
}
