package rpc

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
)

// TestCodecWritesWhatProtobufWrites compares the bytes: fields in their order.
func TestCodecWritesWhatProtobufWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		batch := &tenantryv1.BatchGetResponse{Node: drawText(t), Epoch: drawNumber(t)}
		for range rapid.IntRange(0, 4).Draw(t, "results") {
			r := &tenantryv1.BatchGetResult{Value: drawBytes(t, 300), Freshness: drawFreshness(t)}
			if rapid.Bool().Draw(t, "failed") {
				r.Error = &tenantryv1.BatchGetError{Code: drawText(t), RetryDelay: drawDuration(t)}
			}
			batch.Results = append(batch.Results, r)
		}
		get := &tenantryv1.GetResponse{Value: drawBytes(t, 300), Freshness: drawFreshness(t)}
		peer := &tenantryv1.PeerServiceGetResponse{Node: batch.GetNode(), Epoch: batch.GetEpoch()}
		for _, r := range append(batch.GetResults(), nil) {
			peer.Results = append(peer.Results, &tenantryv1.PeerResult{
				Result: r, Deferred: rapid.Bool().Draw(t, "deferred"), Owner: rapid.Bool().Draw(t, "owner"),
			})
		}
		for _, m := range []proto.Message{batch, get, peer} {
			want, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			got, err := codec{}.MarshalAppend([]byte("kept"), m)
			if err != nil || string(got) != "kept"+string(want) {
				t.Fatalf("%v: got %x, want %x, %v", m, got, want, err)
			}
		}
	})
}

func drawFreshness(t *rapid.T) *tenantryv1.Freshness {
	if rapid.Bool().Draw(t, "nil") {
		return nil
	}
	f := &tenantryv1.Freshness{
		State: tenantryv1.Freshness_State(rapid.IntRange(0, 3).Draw(t, "state")), Source: tenantryv1.Freshness_Source(rapid.IntRange(0, 4).Draw(t, "source")),
		Age: drawDuration(t), Token: drawBytes(t, 300), Node: drawText(t), Epoch: drawNumber(t),
	}
	if rapid.Bool().Draw(t, "versioned") {
		f.Version = new(drawNumber(t))
	}
	if d := drawDuration(t); d != nil {
		f.AsOf = &timestamppb.Timestamp{Seconds: d.GetSeconds(), Nanos: d.GetNanos()}
	}
	return f
}

func drawDuration(t *rapid.T) *durationpb.Duration {
	if rapid.Bool().Draw(t, "nil") {
		return nil
	}
	return &durationpb.Duration{Seconds: rapid.Int64().Draw(t, "seconds"), Nanos: rapid.Int32().Draw(t, "nanos")}
}

func drawNumber(t *rapid.T) uint64 {
	return rapid.OneOf(rapid.Just(uint64(0)), rapid.Uint64()).Draw(t, "number")
}
func drawText(t *rapid.T) string { return rapid.StringN(0, 20, 100).Draw(t, "text") }
func drawBytes(t *rapid.T, n int) []byte {
	return rapid.SliceOfN(rapid.Byte(), 0, n).Draw(t, "bytes")
}

// FuzzCodec reads any bytes as protobuf reads them.
func FuzzCodec(f *testing.F) {
	add := func(m proto.Message) {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	add(&tenantryv1.GetRequest{Tenant: "t", Kind: "k", Key: "é"})
	add(&tenantryv1.GetRequest{Tenant: "t", Kind: "k", Key: "x", MaxAge: durationpb.New(1), After: []byte("x")})
	items := []*tenantryv1.BatchGetItem{{Kind: "k", Key: "a"}, {Kind: "k", Key: "b"}, {}, {Kind: "l", MinVersion: 3}}
	add(&tenantryv1.BatchGetRequest{Tenant: "t", Items: items[:3]})
	add(&tenantryv1.BatchGetRequest{Tenant: "t", Items: items})
	read := &tenantryv1.PeerRead{Tenant: "t", Kind: "k", Key: "é"}
	add(&tenantryv1.PeerServiceGetRequest{Node: "n", Epoch: 7, NoWait: true, Reads: []*tenantryv1.PeerRead{read, read}})
	add(&tenantryv1.PeerServiceGetRequest{Reads: []*tenantryv1.PeerRead{read, {Tenant: "t", MinVersion: 3}}})
	f.Add([]byte("\x0a\x01a\x0a\x01b\x12\x04\x0a\x00\x12\x00"))
	f.Add([]byte("\x0a\x01\xff"))
	f.Add([]byte("\x12\x03\x0a\x01\xff\x12\x03\x0a\x01\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, pair := range [][2]proto.Message{
			{new(tenantryv1.GetRequest), new(tenantryv1.GetRequest)},
			{new(tenantryv1.BatchGetRequest), new(tenantryv1.BatchGetRequest)},
			{new(tenantryv1.PeerServiceGetRequest), new(tenantryv1.PeerServiceGetRequest)},
		} {
			err, wantErr := codec{}.Unmarshal(b, pair[0]), proto.Unmarshal(b, pair[1])
			if (err == nil) != (wantErr == nil) {
				t.Fatalf("got %v, want %v", err, wantErr)
			}
			if diff := cmp.Diff(pair[1], pair[0], protocmp.Transform()); err == nil && diff != "" {
				t.Fatal(diff)
			}
		}
	})
}
