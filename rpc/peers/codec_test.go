package peers

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

func TestWhatIsAskedIsWhatProtobufWrites(t *testing.T) {
	text := rapid.StringN(0, 20, 200)
	rapid.Check(t, func(t *rapid.T) {
		want := &tenantryv1.PeerServiceGetRequest{Node: text.Draw(t, "node"), Epoch: rapid.Uint64Range(0, 3).Draw(t, "epoch"), NoWait: true}
		for range rapid.IntRange(0, 4).Draw(t, "reads") {
			r := &tenantryv1.PeerRead{Tenant: text.Draw(t, "tenant"), Kind: text.Draw(t, "kind"), Key: text.Draw(t, "key")}
			switch rapid.IntRange(0, 4).Draw(t, "bound") {
			case 1:
				r.MaxAge = &durationpb.Duration{Seconds: rapid.Int64().Draw(t, "seconds")}
			case 2:
				r.MinVersion = rapid.Uint64().Draw(t, "version")
			case 3:
				r.After = []byte(text.Draw(t, "after"))
			}
			want.Reads = append(want.Reads, r)
		}
		got := new(tenantryv1.PeerServiceGetRequest)
		if err := proto.Unmarshal(appendGet(nil, want.GetNode(), want.GetEpoch(), want.GetReads()), got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Fatal(diff)
		}
	})
}

// FuzzAnswer reads any bytes as protobuf reads them.
func FuzzAnswer(f *testing.F) {
	absent, full := failure(5), value("text")
	full.Result.Freshness = &tenantryv1.Freshness{
		State: 1, Source: 2, Age: &durationpb.Duration{Seconds: -1, Nanos: 7}, AsOf: &timestamppb.Timestamp{Seconds: 1 << 40, Nanos: -3},
		Version: new(uint64(0)), Token: []byte("token"),
	}
	named := proto.CloneOf(full)
	named.Result.Freshness.Node, named.Result.Freshness.Epoch = "n", 8
	for _, results := range [][]*tenantryv1.PeerResult{{}, {full}, {full, absent, deferred()}, {named}, {{}, {}, {}, {}}} {
		b, err := proto.Marshal(&tenantryv1.PeerServiceGetResponse{Node: "o1", Epoch: 7, Results: results})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)/2])
		f.Add(append(b, b...)) // fields again
	}
	f.Add([]byte("\x12\x01\xff"))                             // no UTF-8
	f.Add([]byte("\x0a\x06\x0a\x04\x0a\x00\x0a\x00"))         // a value twice
	f.Add([]byte("\x0a\x08\x0a\x06\x12\x01\x08\x12\x01\x10")) // freshness twice, cut
	f.Fuzz(func(t *testing.T, b []byte) {
		want := new(tenantryv1.PeerServiceGetResponse)
		wantErr := proto.Unmarshal(b, want)
		got, err := readAnswer(b, 3)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("got %v, want %v", err, wantErr)
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); err == nil && diff != "" {
			t.Fatal(diff)
		}
	})
}
