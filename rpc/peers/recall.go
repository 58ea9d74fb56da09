package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"

	"connectrpc.com/connect"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
)

// contentType is that of Connect's unary calls, without compression.
const contentType = "application/proto"

// remember calls Get of a node for answers from memory: what Connect's client would do
// and takes longer for than the node for its answer.
func (l *lane) remember(ctx context.Context, reads []*tenantryv1.PeerRead) (*tenantryv1.PeerServiceGetResponse, error) {
	data, err := l.post(ctx, appendGet(nil, l.cfg.Self, l.cfg.Epoch(), reads))
	if err != nil {
		return nil, err
	}
	res, err := readAnswer(data, len(reads))
	if err != nil || len(res.GetResults()) != len(reads) {
		return nil, errAnswer
	}
	return res, nil
}

func (l *lane) post(ctx context.Context, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.peer.URL+tenantryv1connect.PeerServiceGetProcedure, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = l.header
	res, err := l.memory.RoundTrip(req)
	if err != nil {
		return nil, broken(ctx, err)
	}
	defer func() { _ = res.Body.Close() }()
	return bodyOf(ctx, res)
}

// bodyOf returns the body of an answer.
func bodyOf(ctx context.Context, res *http.Response) ([]byte, error) {
	if res.ContentLength > maxAnswer {
		return nil, errTooLarge
	}
	body := bytes.NewBuffer(make([]byte, 0, max(res.ContentLength, 0)+bytes.MinRead))
	_, err := body.ReadFrom(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, broken(ctx, err)
	case body.Len() > maxAnswer:
		return nil, errTooLarge
	case res.StatusCode != http.StatusOK:
		return nil, refusal(body.Bytes())
	case res.Header.Get("Content-Type") != contentType || res.Header.Get("Content-Encoding") != "":
		return nil, errAnswer
	}
	return body.Bytes(), nil
}

// broken says that no whole answer came.
func broken(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded): // the connection's, which is that of ctx
		return context.DeadlineExceeded
	}
	return connect.NewError(connect.CodeUnavailable, err)
}

// refusal is the error that a node answered with.
func refusal(body []byte) error {
	var e struct{ Code, Message string }
	code := connect.CodeUnknown
	if json.Unmarshal(body, &e) == nil {
		_ = code.UnmarshalText([]byte(e.Code)) // stays as it is
	}
	return connect.NewError(code, errors.New(e.Message))
}
