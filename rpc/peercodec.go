package rpc

import (
	"google.golang.org/protobuf/encoding/protowire"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
)

// The field numbers of what nodes ask each other.
const (
	fieldPeerNode, fieldPeerEpoch, fieldPeerReads, fieldPeerNoWait = 1, 2, 3, 4
	fieldReadTenant, fieldReadKind, fieldReadKey                   = 1, 2, 3
	fieldPeerResults, fieldPeerAnswerNode, fieldPeerAnswerEpoch    = 1, 2, 3
	fieldPeerResult, fieldPeerResultDeferred, fieldPeerResultOwner = 1, 2, 3
)

// appendPeerAnswer appends what a node is answered.
func appendPeerAnswer(b []byte, m *tenantryv1.PeerServiceGetResponse) ([]byte, error) {
	var one []byte // used again by the next
	for _, r := range m.GetResults() {
		one = one[:0]
		if r.GetResult() != nil {
			var err error
			if one, err = appendResult(one, fieldPeerResult, r.GetResult()); err != nil {
				return nil, err
			}
		}
		one = appendBool(one, fieldPeerResultDeferred, r.GetDeferred())
		one = appendBool(one, fieldPeerResultOwner, r.GetOwner())
		b = appendMessage(b, fieldPeerResults, one)
	}
	b = appendBytes(b, fieldPeerAnswerNode, []byte(m.GetNode()))
	return appendFixed(b, fieldPeerAnswerEpoch, m.GetEpoch()), nil
}

func appendBool(b []byte, number protowire.Number, v bool) []byte {
	if !v {
		return b
	}
	return appendNumber(b, number, 1)
}

// readPeerGet reads what a node asks. It leaves a question with any bound, or with
// anything else than the usual, to protobuf.
func readPeerGet(data []byte, m *tenantryv1.PeerServiceGetRequest) bool {
	var tenant, kind string // most reads have those of the one before
	for len(data) > 0 {
		number, wire, n := protowire.ConsumeTag(data)
		if n < 0 {
			return false
		}
		rest := data[n:]
		switch {
		case number == fieldPeerEpoch && wire == protowire.Fixed64Type:
			m.Epoch, n = protowire.ConsumeFixed64(rest)
		case number == fieldPeerNoWait && wire == protowire.VarintType:
			var v uint64
			v, n = protowire.ConsumeVarint(rest)
			m.NoWait = v != 0
		case wire == protowire.BytesType && (number == fieldPeerNode || number == fieldPeerReads):
			var value []byte
			if value, n = protowire.ConsumeBytes(rest); n < 0 || !readPeerField(number, value, m, &tenant, &kind) {
				return false
			}
		default:
			return false
		}
		if n < 0 {
			return false
		}
		data = rest[n:]
	}
	return true
}

func readPeerField(number protowire.Number, value []byte, m *tenantryv1.PeerServiceGetRequest, tenant, kind *string) bool {
	if number == fieldPeerNode {
		return readString(&m.Node, value, "")
	}
	r := new(tenantryv1.PeerRead)
	for len(value) > 0 {
		number, text, rest, ok := field(value)
		switch {
		case !ok:
			return false
		case number == fieldReadTenant:
			ok = readString(&r.Tenant, text, *tenant)
		case number == fieldReadKind:
			ok = readString(&r.Kind, text, *kind)
		case number == fieldReadKey:
			ok = readString(&r.Key, text, "")
		default:
			return false
		}
		if !ok {
			return false
		}
		value = rest
	}
	*tenant, *kind = r.Tenant, r.Kind
	m.Reads = append(m.Reads, r)
	return true
}
