package peers

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
)

// The field numbers of a Get from memory and of what answers it.
const (
	fieldGetNode, fieldGetEpoch, fieldGetReads, fieldGetNoWait             = 1, 2, 3, 4
	fieldReadTenant, fieldReadKind, fieldReadKey                           = 1, 2, 3
	fieldAnswerResults, fieldAnswerNode, fieldAnswerEpoch                  = 1, 2, 3
	fieldPeerResult, fieldPeerDeferred, fieldPeerOwner                     = 1, 2, 3
	fieldResultValue, fieldResultFreshness, fieldResultError               = 1, 2, 3
	fieldState, fieldSource, fieldAge, fieldAsOf, fieldVersion, fieldToken = 1, 2, 3, 4, 5, 6
)

// appendGet appends the encoding of a call from memory. Reads with bounds are left to
// protobuf.
func appendGet(b []byte, node string, epoch uint64, reads []*tenantryv1.PeerRead) []byte {
	b = appendText(b, fieldGetNode, node)
	if epoch != 0 {
		b = protowire.AppendFixed64(protowire.AppendTag(b, fieldGetEpoch, protowire.Fixed64Type), epoch)
	}
	for _, r := range reads {
		b = appendRead(protowire.AppendTag(b, fieldGetReads, protowire.BytesType), r)
	}
	return protowire.AppendVarint(protowire.AppendTag(b, fieldGetNoWait, protowire.VarintType), 1)
}

func appendRead(b []byte, r *tenantryv1.PeerRead) []byte {
	if r.MaxAge != nil || r.MinVersion != 0 || r.After != nil {
		m, _ := proto.Marshal(r) // fails for no message without required fields
		return protowire.AppendBytes(b, m)
	}
	b = protowire.AppendVarint(b, uint64(sizeText(r.GetTenant())+sizeText(r.GetKind())+sizeText(r.GetKey())))
	b = appendText(b, fieldReadTenant, r.GetTenant())
	b = appendText(b, fieldReadKind, r.GetKind())
	return appendText(b, fieldReadKey, r.GetKey())
}

func appendText(b []byte, number protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, number, protowire.BytesType), s)
}

// sizeText is what appendText appends for one of the first 15 fields.
func sizeText(s string) int {
	if s == "" {
		return 0
	}
	return 1 + protowire.SizeBytes(len(s))
}

// slot is a result with what it points to.
type slot struct {
	peer      tenantryv1.PeerResult
	result    tenantryv1.BatchGetResult
	freshness tenantryv1.Freshness
	age       durationpb.Duration
	asOf      timestamppb.Timestamp
	version   uint64
}

// readAnswer reads the answer to n reads. Its values and tokens are parts of data. What
// it does not know, or finds at fault, is left to protobuf.
func readAnswer(data []byte, n int) (*tenantryv1.PeerServiceGetResponse, error) {
	m := &tenantryv1.PeerServiceGetResponse{Results: make([]*tenantryv1.PeerResult, 0, n)}
	slots := make([]slot, n)
	known := fields(data, func(f field) bool {
		switch {
		case f.is(fieldAnswerResults, protowire.BytesType) && len(m.Results) < n:
			s := &slots[len(m.Results)]
			m.Results = append(m.Results, &s.peer)
			return fields(f.bytes, s.readPeer)
		case f.is(fieldAnswerNode, protowire.BytesType):
			m.Node = string(f.bytes)
			return utf8.Valid(f.bytes)
		case f.is(fieldAnswerEpoch, protowire.Fixed64Type):
			m.Epoch = f.number
			return true
		}
		return false
	})
	if known {
		return m, nil
	}
	m = new(tenantryv1.PeerServiceGetResponse)
	return m, proto.Unmarshal(data, m)
}

func (s *slot) readPeer(f field) bool {
	switch {
	case f.is(fieldPeerResult, protowire.BytesType) && s.peer.Result == nil:
		s.peer.Result = &s.result
		return fields(f.bytes, s.readResult)
	case f.is(fieldPeerDeferred, protowire.VarintType):
		s.peer.Deferred = f.number != 0
	case f.is(fieldPeerOwner, protowire.VarintType):
		s.peer.Owner = f.number != 0
	default:
		return false
	}
	return true
}

func (s *slot) readResult(f field) bool {
	if f.wire != protowire.BytesType {
		return false
	}
	switch {
	case f.tag == fieldResultValue:
		s.result.Value = f.bytes
	case f.tag == fieldResultFreshness && s.result.Freshness == nil:
		s.result.Freshness = &s.freshness
		return fields(f.bytes, s.readFreshness)
	case f.tag == fieldResultError && s.result.Error == nil:
		s.result.Error = new(tenantryv1.BatchGetError)
		return proto.Unmarshal(f.bytes, s.result.Error) == nil
	default:
		return false
	}
	return true
}

func (s *slot) readFreshness(f field) bool {
	m := &s.freshness
	switch {
	case f.is(fieldState, protowire.VarintType):
		m.State = tenantryv1.Freshness_State(f.number)
	case f.is(fieldSource, protowire.VarintType):
		m.Source = tenantryv1.Freshness_Source(f.number)
	case f.is(fieldAge, protowire.BytesType) && m.Age == nil:
		m.Age = &s.age
		return readTime(f.bytes, &s.age.Seconds, &s.age.Nanos)
	case f.is(fieldAsOf, protowire.BytesType) && m.AsOf == nil:
		m.AsOf = &s.asOf
		return readTime(f.bytes, &s.asOf.Seconds, &s.asOf.Nanos)
	case f.is(fieldVersion, protowire.VarintType):
		s.version, m.Version = f.number, &s.version
	case f.is(fieldToken, protowire.BytesType):
		m.Token = f.bytes
	default:
		return false
	}
	return true
}

// readTime reads a Duration or a Timestamp, which look the same.
func readTime(data []byte, seconds *int64, nanos *int32) bool {
	return fields(data, func(f field) bool {
		switch {
		case f.is(1, protowire.VarintType):
			*seconds = int64(f.number)
		case f.is(2, protowire.VarintType):
			*nanos = int32(f.number)
		default:
			return false
		}
		return true
	})
}

// field is one of a message.
type field struct {
	tag    protowire.Number
	wire   protowire.Type
	number uint64
	bytes  []byte
}

func (f *field) is(tag protowire.Number, wire protowire.Type) bool {
	return f.tag == tag && f.wire == wire
}

// fields gives the fields of a message, as long as read takes them, and reports whether
// it took them all.
func fields(data []byte, read func(field) bool) bool {
	for len(data) > 0 {
		tag, wire, n := protowire.ConsumeTag(data)
		if n < 0 {
			return false
		}
		f := field{tag: tag, wire: wire}
		data = data[n:]
		switch wire {
		case protowire.VarintType:
			f.number, n = protowire.ConsumeVarint(data)
		case protowire.Fixed64Type:
			f.number, n = protowire.ConsumeFixed64(data)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(data)
		default:
			return false
		}
		if n < 0 || !read(f) {
			return false
		}
		data = data[n:]
	}
	return true
}
