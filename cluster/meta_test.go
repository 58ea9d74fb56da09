package cluster

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hashicorp/memberlist"
	"pgregory.net/rapid"
)

func anyMeta(t *rapid.T) Meta {
	word := func(most int) string {
		return rapid.StringMatching(`[!-~]{1,30}`).Draw(t, "text")[:min(most, 1)] + strings.Repeat("x", rapid.IntRange(0, most-1).Draw(t, "length"))
	}
	m := Meta{
		Address: word(maxAddress), Zone: word(maxZone), Algorithm: word(maxAlgorithm), Version: word(maxVersion),
		State: State(rapid.IntRange(0, 2).Draw(t, "state")), BusLive: rapid.Bool().Draw(t, "bus"), Epoch: rapid.Uint64().Draw(t, "epoch"),
	}
	copy(m.ID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
	m.ID[0] |= 1
	return m
}

func TestMetaComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := anyMeta(t)
		b := m.encode()
		if len(b) > maxMeta || len(b) > memberlist.MetaMaxSize {
			t.Fatalf("%d bytes", len(b))
		}
		got, err := decodeMeta(b)
		if err != nil || got != m {
			t.Fatalf("%+v became %+v, %v", m, got, err)
		}
		// What a later version adds is skipped, wherever it stands.
		more := field([]byte{metaFormat}, 77, bytes.Repeat([]byte{9}, rapid.IntRange(1, 100).Draw(t, "more")))
		if got, err = decodeMeta(append(more, b[1:]...)); err != nil || got != m {
			t.Fatalf("with an unknown field: %+v became %+v, %v", m, got, err)
		}
	})
}

func TestMetaLargest(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	m := Meta{
		ID: newID(), Address: x(maxAddress), Zone: x(maxZone), Algorithm: x(maxAlgorithm), Version: x(maxVersion),
		State: Leaving, BusLive: true, Epoch: 1,
	}
	m.ID[15] = 63
	if n := len(m.encode()); n != maxMeta {
		t.Errorf("%d bytes", n)
	}
}

func TestDecodeMeta(t *testing.T) {
	id := string(field(nil, tagID, bytes.Repeat([]byte{7}, 16)))
	tests := map[string]string{
		"":                                      "not metadata",
		"\x02":                                  "not metadata",
		"\x01":                                  "without an id",
		"\x01\x02":                              "ends within",
		"\x01\x02\x05abc":                       "ends within",
		"\x01\x01\x0fsixteen is more":           "without an id",
		"\x01" + id:                             "address: is missing",
		"\x01" + id + "\x02\x03a b":             "has spaces",
		"\x01" + id + "\x02\x03a\nb":            "has spaces",
		"\x01" + id + "\x02\x02\xff\xfe":        "has spaces",
		"\x01" + id + "\x02\x03a:1":             "",
		"\x01" + id + "\x02\x03a:1\x04\x01\x09": "", // an unknown state
		strings.Repeat("\x01", 513):             "513 bytes",
	}
	for in, want := range tests {
		m, err := decodeMeta([]byte(in))
		switch {
		case want == "" && (err != nil || m.Address != "a:1" || m.State != Joining):
			t.Errorf("%.60q: %+v, %v", in, m, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%.60q: error %v, want %q", in, err, want)
		}
	}
}

// Whatever is accepted is within the bounds, and survives another round.
func FuzzDecodeMeta(f *testing.F) {
	f.Add((&Meta{ID: newID(), Address: "10.0.0.1:7070", Zone: "a", Algorithm: "x", Version: "v1", State: Ready, BusLive: true, Epoch: 1}).encode())
	f.Add([]byte{metaFormat, tagID, 16})
	f.Add(bytes.Repeat([]byte{1, 0}, 300))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeMeta(b)
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Fatalf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		again := m.encode()
		if got, err := decodeMeta(again); err != nil || got != m || len(again) > maxMeta {
			t.Fatalf("%+v became %+v, %v", m, got, err)
		}
	})
}

func BenchmarkDecodeMeta(b *testing.B) {
	meta := (&Meta{ID: newID(), Address: "10.0.0.1:7070", Zone: "a", Algorithm: "consistent/4099/100/1.25/2", Version: "v1.0.0", State: Ready, BusLive: true, Epoch: 1}).encode()
	b.ReportAllocs()
	b.SetBytes(int64(len(meta)))
	for b.Loop() {
		if _, err := decodeMeta(meta); err != nil {
			b.Fatal(err)
		}
	}
}
