package peers

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
)

func TestTheFirstOwnerAnswers(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, o *others) {
		asked := &tenantryv1.PeerRead{Tenant: "acme", Kind: "role", Key: "a", MaxAge: durationpb.New(time.Second), MinVersion: 7, After: []byte("token")}
		got, err := o.Get(t.Context(), o.peers, asked)
		want := Answer{Result: value("o1").GetResult(), Node: "o1", Epoch: 7, Took: transit}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" || err != nil {
			t.Error(err, diff)
		}
		calls := o.nodes[0].taken()
		if len(calls) != 1 || len(o.nodes[1].taken()) != 0 {
			t.Fatalf("%d calls", len(calls))
		}
		request := &tenantryv1.PeerServiceGetRequest{Node: "self", Epoch: 5, Reads: []*tenantryv1.PeerRead{asked}, NoWait: true}
		if diff := cmp.Diff(request, calls[0].PeerServiceGetRequest, protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
		if h := calls[0].header; h.Get(NodeHeader) != "self" || h.Get(SecretHeader) != "token-o1" {
			t.Error(h)
		}
	})
}

func TestNobodyToAsk(t *testing.T) {
	inBubble(t, 0, func(_ *testing.T, o *others) { o.want(ErrNoOwner.Error(), 0) })
}

func TestTheNextOwnerAnswersAtOnce(t *testing.T) {
	for name, breaks := range map[string]func(o *owner){
		"refuses":     func(o *owner) { o.Kill() },
		"unavailable": func(o *owner) { o.always(failure(connect.CodeUnavailable)) },
		"internal":    func(o *owner) { o.always(failure(connect.CodeInternal)) },
		"no result":   func(o *owner) { o.always(&tenantryv1.PeerResult{}) },
		"no freshness": func(o *owner) {
			o.always(&tenantryv1.PeerResult{Result: &tenantryv1.BatchGetResult{Value: []byte("{}")}})
		},
		"unknown freshness": func(o *owner) { o.always(unknownFreshness()) },
		"absent, and no freshness": func(o *owner) {
			r := failure(connect.CodeNotFound)
			r.Result.Freshness = nil
			o.always(r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 2, func(_ *testing.T, o *others) {
				breaks(o.nodes[0])
				o.want("o2", 2*transit)
			})
		})
	}
}

func unknownFreshness() *tenantryv1.PeerResult {
	r := value("{}")
	r.Result.Freshness.State = 99
	return r
}

// garbage is what nodes do not answer with.
func garbage() map[string]http.HandlerFunc {
	raw := func(status int, contentType string, body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			_, _ = w.Write(body)
		}
	}
	response := func(results int) []byte {
		m := &tenantryv1.PeerServiceGetResponse{Node: "o1"}
		for range results {
			m.Results = append(m.Results, value("wrong"))
		}
		b, _ := proto.Marshal(m)
		return b
	}
	return map[string]http.HandlerFunc{
		"no results":    raw(200, "application/proto", nil),
		"two results":   raw(200, "application/proto", response(2)),
		"undecodable":   raw(200, "application/proto", []byte{0xff, 0xff, 0xff}),
		"cut":           raw(200, "application/proto", response(1)[:20]),
		"html":          raw(200, "text/html", []byte("<html>")),
		"json":          raw(200, "application/json", []byte(`{"results":[{}]}`)),
		"500":           raw(500, "text/plain", []byte("oops")),
		"502":           raw(502, "text/html", []byte("<html>")),
		"404":           raw(404, "application/json", []byte(`{"error":"no such path"}`)),
		"401":           raw(401, "application/json", []byte(`{"code":"unauthenticated","message":"who asks is not known"}`)),
		"429":           raw(429, "application/json", []byte(`{"code":"resource_exhausted"}`)),
		"not even JSON": raw(503, "application/json", []byte(`{`)),
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://thief"+r.URL.Path, http.StatusPermanentRedirect)
		},
		"broken off": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"compressed": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/proto")
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(response(1))
		},
	}
}

func TestGarbage(t *testing.T) {
	for name, handle := range garbage() {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 2, func(t *testing.T, o *others) {
				thief := o.network.Serve("thief", http.NotFoundHandler())
				o.nodes[0].handle = handle
				for range 50 {
					o.want("o2", 2*transit)
				}
				if to := thief.Requests(); to != nil {
					t.Errorf("the secret went to another host: %v", to)
				}
			})
		})
	}
}

// endless is an answer that does not end, and how much of it was sent.
type endless struct{ sent int }

func (e *endless) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/proto")
	page := bytes.Repeat([]byte("\x1a\x00"), 1<<19)
	for {
		n, err := w.Write(page)
		if e.sent += n; err != nil {
			return
		}
	}
}

func TestAnAnswerIsBounded(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, o *others) {
		e := new(endless)
		o.nodes[0].handle = e
		o.want("o2", 2*transit)
		o.stop()
		synctest.Wait()
		if e.sent > maxAnswer+4<<20 {
			t.Errorf("%d bytes were read", e.sent)
		}
	})
}

func TestDefiniteAnswers(t *testing.T) {
	for _, code := range []connect.Code{
		connect.CodeNotFound, connect.CodeFailedPrecondition, connect.CodeInvalidArgument, connect.CodeResourceExhausted,
	} {
		inBubble(t, 2, func(t *testing.T, o *others) {
			o.nodes[0].always(failure(code))
			o.want(code.String()+" of o1", transit)
			if len(o.nodes[1].taken()) != 0 {
				t.Errorf("%v: the second owner was asked", code)
			}
		})
	}
}

func TestTheFirstWordCounts(t *testing.T) {
	inBubble(t, 3, func(_ *testing.T, o *others) {
		o.nodes[0].Kill()
		o.nodes[1].always(failure(connect.CodeUnavailable))
		o.nodes[2].always(failure(connect.CodeInternal))
		o.want("unavailable of o2", 3*transit)
	})
}

func TestWhatNeedsTheOrigin(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, o *others) {
		o.warm()
		o.nodes[0].taken()
		const originTime = minWaitHedge - 10*transit
		o.nodes[0].answers(byOrigin("slow", originTime))
		start := time.Now()
		a, err := o.Get(t.Context(), o.peers, read())
		if said(a, err) != "slow" || time.Since(start) != originTime+2*transit || a.Took != originTime+transit {
			t.Error(said(a, err), time.Since(start), a.Took)
		}
		if calls := o.nodes[0].taken(); len(calls) != 2 || !calls[0].GetNoWait() || calls[1].GetNoWait() || calls[1].left != 0 {
			t.Error(calls)
		}
		if len(o.nodes[1].taken()) != 0 {
			t.Error("the second owner was asked too")
		}
		o.nodes[0].always(deferred()) // what it may not answer to who waits
		o.want("o2", 3*transit)
	})
}

func TestACallersEnd(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, o *others) {
		o.warm()
		waits := make(chan error, 1)
		o.nodes[0].answers(func(ctx context.Context, req *tenantryv1.PeerServiceGetRequest) *tenantryv1.PeerResult {
			if req.GetNoWait() {
				return deferred()
			}
			pause(ctx, time.Minute)
			waits <- ctx.Err()
			return value("late")
		})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		if got := o.get(ctx); got != context.Canceled.Error() || time.Since(start) != time.Second {
			t.Error(got, time.Since(start))
		}
		if err := <-waits; err == nil || time.Since(start) > time.Second+transit {
			t.Errorf("the owner still read the origin: %v after %v", err, time.Since(start))
		}
		ctx, cancel = context.WithTimeout(t.Context(), 700*time.Millisecond)
		defer cancel()
		o.nodes[0].taken()
		if got := o.get(ctx); got != context.DeadlineExceeded.Error() {
			t.Error(got)
		}
		<-waits
		if calls := o.nodes[0].taken(); len(calls) != 2 || calls[1].left < 600*time.Millisecond || calls[1].left > 700*time.Millisecond {
			t.Errorf("the deadline was not carried over: %v", calls)
		}
		o.nodes[0].Freeze()
		ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		start = time.Now()
		if got := o.get(ctx); got != context.DeadlineExceeded.Error() || time.Since(start) != 50*time.Millisecond {
			t.Error(got, time.Since(start))
		}
	})
}

// A read that the second owner has answered keeps the first from the origin no longer.
func TestAReadInVainEnds(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, o *others) {
		o.warm()
		waits := make(chan error, 1)
		o.nodes[0].answers(func(ctx context.Context, req *tenantryv1.PeerServiceGetRequest) *tenantryv1.PeerResult {
			if req.GetNoWait() {
				pause(ctx, 50*time.Millisecond)
				return deferred()
			}
			pause(ctx, time.Minute)
			waits <- ctx.Err()
			return value("late")
		})
		o.nodes[1].answers(func(ctx context.Context, _ *tenantryv1.PeerServiceGetRequest) *tenantryv1.PeerResult {
			pause(ctx, 100*time.Millisecond)
			return value("o2")
		})
		o.want("o2", 200*time.Millisecond)
		synctest.Wait()
		select {
		case err := <-waits:
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		default:
			t.Error("the first owner goes on")
		}
	})
}

func TestHedgesAreFew(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, o *others) {
		var n atomic.Int64
		o.nodes[0].answers(func(ctx context.Context, _ *tenantryv1.PeerServiceGetRequest) *tenantryv1.PeerResult {
			if n.Add(1)%12 == 0 {
				pause(ctx, 90*time.Millisecond)
			}
			return value("o1")
		})
		const reads = 1500
		for range reads {
			if got := o.get(t.Context()); got != "o1" && got != "o2" {
				t.Fatal(got)
			}
		}
		if hedges := len(o.nodes[1].taken()); hedges < 20 || hedges > reads/hedgeCost {
			t.Errorf("%d hedges of %d reads", hedges, reads)
		}
	})
}

func TestSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := gather(t, 2, func(c *Config) { c.Secret = "the cluster's" })
		defer o.stop()
		var headers []http.Header
		handle := func(w http.ResponseWriter, r *http.Request) {
			headers = append(headers, r.Header.Clone())
			w.WriteHeader(http.StatusTeapot)
		}
		o.nodes[0].handle, o.nodes[1].handle = http.HandlerFunc(handle), http.HandlerFunc(handle)
		o.want(ErrNoOwner.Error(), 2*transit)
		_ = o.Activity(t.Context(), o.peers[0], nil)
		c := o.Cluster(o.peers[0])
		_, _ = c.ListMembers(t.Context(), &tenantryv1.ListMembersRequest{})
		if stream, err := c.WatchRing(t.Context(), &tenantryv1.WatchRingRequest{}); err == nil {
			stream.Receive()
			_ = stream.Close()
		}
		if len(headers) < 5 {
			t.Fatalf("%d calls", len(headers))
		}
		for _, h := range headers {
			if h.Get(SecretHeader) != "the cluster's" || h.Get(NodeHeader) != "self" {
				t.Error(h)
			}
		}
	})
}

func TestMetrics(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, o *others) {
		o.warm()
		o.nodes[0].Kill()
		o.want("o2", 2*transit)
		o.nodes[1].always(failure(connect.CodeNotFound))
		o.want("not_found of o2", 2*transit)
		o.nodes[1].Kill()
		o.want(ErrNoOwner.Error(), 2*transit)
		families, err := o.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[string]float64)
		for _, f := range families {
			for _, m := range f.GetMetric() {
				for _, l := range m.GetLabel() {
					got[strings.TrimPrefix(f.GetName(), "tenantry_forward")+" "+l.GetValue()] = m.GetCounter().GetValue()
				}
			}
		}
		want := map[string]float64{"s_total answered": 101, "s_total error": 1, "s_total no_owner": 1, "_faults_total connect": 2}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}
