package rpc

import (
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
)

// codec is Connect's binary codec, with the messages of Get, BatchGet and of what
// other nodes get read
// and written by hand: a batch spends more on its messages than on its reads.
// What the hand-written part does not know, it leaves to protobuf: a request
// with any field beyond the names, or with a fault in it, is read again there.
// Responses are those that this package builds, and have no unknown fields.
type codec struct{}

// Name is that of Connect's codec, which this one replaces.
func (codec) Name() string { return "proto" }

// IsBinary says that Connect must put messages into base64 for a GET.
func (codec) IsBinary() bool { return true }

// Marshal returns the message's binary encoding.
func (c codec) Marshal(message any) ([]byte, error) { return c.MarshalAppend(nil, message) }

// MarshalAppend appends the message's binary encoding.
func (codec) MarshalAppend(b []byte, message any) ([]byte, error) {
	switch m := message.(type) {
	case *tenantryv1.GetResponse:
		return appendAnswer(b, m.GetValue(), m.GetFreshness()), nil
	case *tenantryv1.BatchGetResponse:
		return appendBatch(b, m)
	case *tenantryv1.PeerServiceGetResponse:
		return appendPeerAnswer(b, m)
	case proto.Message:
		return proto.MarshalOptions{}.MarshalAppend(b, m)
	}
	return nil, fmt.Errorf("%T is not a protobuf message", message)
}

// MarshalStable returns an encoding that is the same for equal messages.
func (codec) MarshalStable(message any) ([]byte, error) {
	m, ok := message.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is not a protobuf message", message)
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}

// Unmarshal reads a message that is still empty.
func (codec) Unmarshal(data []byte, message any) error {
	switch m := message.(type) {
	case *tenantryv1.GetRequest:
		if readGet(data, m) {
			return nil
		}
	case *tenantryv1.BatchGetRequest:
		if readBatch(data, m) {
			return nil
		}
	case *tenantryv1.PeerServiceGetRequest:
		if readPeerGet(data, m) {
			return nil
		}
	}
	m, ok := message.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is not a protobuf message", message)
	}
	return proto.Unmarshal(data, m) // resets what was read so far
}

// The field numbers of the messages above.
const (
	fieldGetTenant, fieldGetKind, fieldGetKey          = 1, 2, 3
	fieldBatchTenant, fieldBatchItems                  = 1, 2
	fieldItemKind, fieldItemKey                        = 1, 2
	fieldAnswerValue, fieldAnswerFreshness             = 1, 2
	fieldResultError                                   = 3
	fieldBatchResults, fieldBatchNode, fieldBatchEpoch = 1, 2, 3
)

// field reads one length-delimited field and returns what follows it.
func field(data []byte) (number protowire.Number, value, rest []byte, ok bool) {
	number, kind, n := protowire.ConsumeTag(data)
	if n < 0 || kind != protowire.BytesType {
		return 0, nil, nil, false
	}
	value, m := protowire.ConsumeBytes(data[n:])
	if m < 0 {
		return 0, nil, nil, false
	}
	return number, value, data[n+m:], true
}

// readString copies a string, unless it is the same as the last one was.
func readString(s *string, value []byte, last string) bool {
	if string(value) == last {
		*s = last
		return true
	}
	*s = string(value)
	return utf8.Valid(value)
}

func readGet(data []byte, m *tenantryv1.GetRequest) bool {
	for len(data) > 0 {
		number, value, rest, ok := field(data)
		if !ok {
			return false
		}
		switch number {
		case fieldGetTenant:
			ok = readString(&m.Tenant, value, "")
		case fieldGetKind:
			ok = readString(&m.Kind, value, "")
		case fieldGetKey:
			ok = readString(&m.Key, value, "")
		default:
			return false
		}
		if !ok {
			return false
		}
		data = rest
	}
	return true
}

func readBatch(data []byte, m *tenantryv1.BatchGetRequest) bool {
	items := make([]tenantryv1.BatchGetItem, countItems(data))
	m.Items = make([]*tenantryv1.BatchGetItem, 0, len(items))
	kind := "" // most items have the kind of the one before
	for len(data) > 0 {
		number, value, rest, ok := field(data)
		switch {
		case !ok:
			return false
		case number == fieldBatchTenant:
			ok = readString(&m.Tenant, value, "")
		case number == fieldBatchItems:
			item := &items[len(m.Items)]
			ok = readItem(value, item, kind)
			kind = item.Kind
			m.Items = append(m.Items, item)
		default:
			return false
		}
		if !ok {
			return false
		}
		data = rest
	}
	return true
}

// countItems returns how many items readBatch will meet before it ends.
func countItems(data []byte) (n int) {
	for len(data) > 0 {
		number, _, rest, ok := field(data)
		if !ok {
			break
		}
		if number == fieldBatchItems {
			n++
		}
		data = rest
	}
	return n
}

func readItem(data []byte, m *tenantryv1.BatchGetItem, lastKind string) bool {
	for len(data) > 0 {
		number, value, rest, ok := field(data)
		switch {
		case !ok:
			return false
		case number == fieldItemKind:
			ok = readString(&m.Kind, value, lastKind)
		case number == fieldItemKey:
			ok = readString(&m.Key, value, "")
		default:
			return false
		}
		if !ok {
			return false
		}
		data = rest
	}
	return true
}
