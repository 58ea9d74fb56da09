package rpc

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
)

// freshnessSize is more than a Freshness usually takes; a longer one moves to
// the heap.
const freshnessSize = 256

// appendAnswer appends a value and its freshness, as GetResponse and
// BatchGetResult have them.
func appendAnswer(b, value []byte, f *tenantryv1.Freshness) []byte {
	b = appendBytes(b, fieldAnswerValue, value)
	if f == nil {
		return b
	}
	var scratch [freshnessSize]byte
	return appendMessage(b, fieldAnswerFreshness, appendFreshness(scratch[:0], f))
}

func appendBatch(b []byte, m *tenantryv1.BatchGetResponse) ([]byte, error) {
	for _, r := range m.GetResults() {
		var err error
		if b, err = appendResult(b, fieldBatchResults, r); err != nil {
			return nil, err
		}
	}
	b = appendBytes(b, fieldBatchNode, []byte(m.GetNode()))
	return appendFixed(b, fieldBatchEpoch, m.GetEpoch()), nil
}

// appendResult appends the result of one read of several.
func appendResult(b []byte, number protowire.Number, r *tenantryv1.BatchGetResult) ([]byte, error) {
	var scratch [freshnessSize]byte
	rest := appendAnswer(scratch[:0], nil, r.GetFreshness())
	if r.GetError() != nil {
		text, err := proto.Marshal(r.GetError())
		if err != nil {
			return nil, err
		}
		rest = appendMessage(rest, fieldResultError, text)
	}
	b = protowire.AppendTag(b, number, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(sizeBytes(r.GetValue())+len(rest)))
	return append(appendBytes(b, fieldAnswerValue, r.GetValue()), rest...), nil
}

// appendFreshness appends the fields of a Freshness in their order.
func appendFreshness(b []byte, f *tenantryv1.Freshness) []byte {
	b = appendNumber(b, 1, uint64(f.GetState()))
	b = appendNumber(b, 2, uint64(f.GetSource()))
	if d := f.GetAge(); d != nil {
		b = appendTime(b, 3, d.GetSeconds(), d.GetNanos())
	}
	if t := f.GetAsOf(); t != nil {
		b = appendTime(b, 4, t.GetSeconds(), t.GetNanos())
	}
	if f.Version != nil {
		b = protowire.AppendTag(b, 5, protowire.VarintType)
		b = protowire.AppendVarint(b, f.GetVersion())
	}
	b = appendBytes(b, 6, f.GetToken())
	if node := f.GetNode(); node != "" {
		b = protowire.AppendTag(b, 7, protowire.BytesType)
		b = protowire.AppendString(b, node)
	}
	return appendFixed(b, 8, f.GetEpoch())
}

// appendTime appends a Duration or a Timestamp, which look the same.
func appendTime(b []byte, number protowire.Number, seconds int64, nanos int32) []byte {
	var scratch [24]byte // two tags of one byte, two varints of up to ten
	t := appendNumber(scratch[:0], 1, uint64(seconds))
	return appendMessage(b, number, appendNumber(t, 2, uint64(int64(nanos))))
}

// appendNumber appends a varint, which is left out if it is zero.
func appendNumber(b []byte, number protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), v)
}

// appendFixed appends a fixed64, which is left out if it is zero.
func appendFixed(b []byte, number protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendFixed64(protowire.AppendTag(b, number, protowire.Fixed64Type), v)
}

// appendBytes appends bytes, which are left out if there are none.
func appendBytes(b []byte, number protowire.Number, v []byte) []byte {
	if len(v) == 0 {
		return b
	}
	return appendMessage(b, number, v)
}

// sizeBytes is what appendBytes appends for one of the first 15 fields.
func sizeBytes(v []byte) int {
	if len(v) == 0 {
		return 0
	}
	return 1 + protowire.SizeBytes(len(v))
}

// appendMessage appends an encoded message, empty or not.
func appendMessage(b []byte, number protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), m)
}
