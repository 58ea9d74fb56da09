package traffic

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tenantry/tenantry/cmd/chaos/history"
	"github.com/tenantry/tenantry/cmd/chaos/origin"
	"github.com/tenantry/tenantry/cmd/chaos/world"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
)

// get asks by Connect or gRPC.
func (r *reader) get(ctx context.Context, node *world.Node, entries []int32) {
	q, token := r.again(entries)
	e := r.Log.Entries[q.Entry]
	m := &tenantryv1.GetRequest{
		Tenant: r.Log.Items[e.Item].Tenant, Kind: r.Log.Kinds[e.Kind].Name, Key: e.Key,
		MinVersion: uint64(q.MinVersion), After: token,
	}
	if q.MaxAge != history.NoMaxAge {
		m.MaxAge = durationpb.New(q.MaxAge)
	}
	q.Sent = r.Log.Now()
	res, err := r.cache(node).Get(ctx, m)
	q.Done = r.Log.Now()
	if err != nil {
		fail(&q, err)
	} else {
		answered(&q, e.Kind, res.GetValue(), res.GetFreshness())
		r.remember(&q, res.GetFreshness().GetToken())
	}
	r.record = append(r.record, q)
}

// batch asks for many entries of a tenant.
func (r *reader) batch(ctx context.Context, node *world.Node, tenant string, entries []int32) {
	m := &tenantryv1.BatchGetRequest{Tenant: tenant}
	asked := make([]history.Read, 0, batchSize)
	for range batchSize {
		q, _ := r.request(entries[r.rand.IntN(len(entries))], r.rand.IntN(4) == 0)
		e := r.Log.Entries[q.Entry]
		item := &tenantryv1.BatchGetItem{Kind: r.Log.Kinds[e.Kind].Name, Key: e.Key, MinVersion: uint64(q.MinVersion)}
		if q.MaxAge != history.NoMaxAge {
			item.MaxAge = durationpb.New(q.MaxAge)
		}
		m.Items, asked = append(m.Items, item), append(asked, q)
	}
	sent := r.Log.Now()
	res, err := r.cache(node).BatchGet(ctx, m)
	done := r.Log.Now()
	for i := range asked {
		q := &asked[i]
		q.Sent, q.Done = sent, done
		switch {
		case err != nil:
			fail(q, err)
		case len(res.GetResults()) != len(asked):
			q.Result = history.Malformed
		default:
			result(q, r.Log.Entries[q.Entry].Kind, res.GetResults()[i])
		}
	}
	r.record = append(r.record, asked...)
}

func result(q *history.Read, kind int, res *tenantryv1.BatchGetResult) {
	e := res.GetError()
	switch {
	case e == nil:
		answered(q, kind, res.GetValue(), res.GetFreshness())
	case e.GetCode() == connect.CodeNotFound.String():
		q.Result = history.Absent
		trusted(q, res.GetFreshness())
	default:
		var code connect.Code
		_ = code.UnmarshalText([]byte(e.GetCode()))
		q.Result = resultOf(code)
	}
}

// answered notes a value.
func answered(q *history.Read, kind int, value []byte, f *tenantryv1.Freshness) {
	q.Number = origin.Number(kind, value)
	q.Result = history.Value
	if q.Number == 0 {
		q.Result = history.Malformed
	}
	trusted(q, f)
}

// trusted notes how far an answer may be trusted.
func trusted(q *history.Read, f *tenantryv1.Freshness) {
	q.State, q.Source = history.State(f.GetState()), history.Source(f.GetSource())
	q.Age, q.Version = f.GetAge().AsDuration(), uint32(f.GetVersion())
	q.By = world.Number(f.GetNode())
}

// fail notes an error, which may be an absence.
func fail(q *history.Read, err error) {
	code := connect.CodeOf(err)
	q.Result = resultOf(code)
	e, ok := errors.AsType[*connect.Error](err)
	switch {
	case code == connect.CodeUnavailable && !connect.IsWireError(err), code == connect.CodeUnknown && !connect.IsWireError(err), code == connect.CodeInternal && !connect.IsWireError(err):
		q.Result = history.Unreachable
	case code == connect.CodeNotFound && ok:
		q.Result = history.Absent
		for _, d := range e.Details() {
			if m, err := d.Value(); err == nil {
				if f, ok := m.(*tenantryv1.Freshness); ok {
					trusted(q, f)
				}
			}
		}
	}
}

func resultOf(code connect.Code) history.Result {
	switch code {
	case connect.CodeUnavailable:
		return history.Unavailable
	case connect.CodeDeadlineExceeded, connect.CodeCanceled:
		return history.Timeout
	case connect.CodeResourceExhausted:
		return history.Limited
	default:
		return history.Unexpected
	}
}

// maxBody bounds what is read of an answer.
const maxBody = 1 << 16

// rest asks as a browser would.
func (r *reader) rest(ctx context.Context, node *world.Node, tenant string, entry int32) {
	q, _ := r.request(entry, false)
	e := r.Log.Entries[entry]
	url := node.URL + "/v1/tenants/" + tenant + "/entries/" + r.Log.Kinds[e.Kind].Name + "/" + e.Key
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		q.Result = history.Unexpected
		r.record = append(r.record, q)
		return
	}
	q.Sent = r.Log.Now()
	status, header, body, err := r.fetch(req)
	q.Done = r.Log.Now()
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		q.Result = history.Timeout
	case err != nil:
		q.Result = history.Unreachable
	default:
		told(&q, e.Kind, status, header, body)
	}
	r.record = append(r.record, q)
}

func (r *reader) fetch(req *http.Request) (status int, header http.Header, body []byte, err error) {
	res, err := r.plain.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(res.Body, maxBody))
	return res.StatusCode, res.Header, body, err
}

// told notes what a REST answer says. Its Age is in whole seconds.
func told(q *history.Read, kind, status int, header http.Header, body []byte) {
	q.By = world.Number(header.Get("Tenantry-Node"))
	states := map[string]history.State{"fresh": history.Fresh, "provisional": history.Provisional, "stale": history.Stale}
	q.State = states[header.Get("Tenantry-Freshness")]
	if seconds, err := strconv.Atoi(header.Get("Age")); err == nil {
		q.Age = time.Duration(seconds+1) * time.Second
	}
	switch status {
	case http.StatusOK:
		q.Result = history.Value
		if q.Number = origin.Number(kind, body); q.Number == 0 {
			q.Result = history.Malformed
		}
	case http.StatusNotFound:
		q.Result = history.Absent
	case http.StatusServiceUnavailable:
		q.Result = history.Unavailable
	case http.StatusGatewayTimeout:
		q.Result = history.Timeout
	case http.StatusTooManyRequests:
		q.Result = history.Limited
	default:
		q.Result = history.Unexpected
	}
}
