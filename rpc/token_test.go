package rpc

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tenantry/tenantry/cache"
)

func TestTokenBoundsOnlyItsEntry(t *testing.T) {
	const ours, other = 1, 2
	e := entry{"acme", "role", "admin"}
	versioned := cache.Answer{Position: 7, Settled: 9, Version: 3, Versioned: true}
	plain := cache.Answer{Position: 7, Settled: 5 * time.Millisecond}
	for _, test := range []struct {
		name   string
		boot   uint64
		answer cache.Answer
		want   cache.ReadOptions
	}{
		{"our own position", ours, plain, cache.ReadOptions{Position: 7, Settled: 5*time.Millisecond + 7}},
		{"our own position and version", ours, versioned, cache.ReadOptions{Position: 7, Settled: 7 + time.Microsecond, MinVersion: 3}},
		{"another node's version", other, versioned, cache.ReadOptions{MinVersion: 3}},
		{"another node's position means nothing here", other, plain, cache.ReadOptions{HasMaxAge: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			tok, err := decodeToken(appendToken(nil, partOf(test.boot, e, &test.answer)))
			if err != nil {
				t.Fatal(err)
			}
			var got cache.ReadOptions
			p := tok.of(e)
			if p == nil {
				t.Fatal("the token does not name its entry")
			}
			if err := p.bound(ours, time.Hour, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			for _, e := range []entry{{"acme", "role", "adm"}, {"acme", "admin", "role"}, {"acm", "erole", "admin"}} {
				if tok.of(e) != nil {
					t.Errorf("the token names %v", e)
				}
			}
		})
	}
}

func TestTokenKeepsStricterBounds(t *testing.T) {
	p := part{entry: entry{}.hash(), position: 7, settled: 12, version: 3, versioned: true}
	o := cache.ReadOptions{MinVersion: 5}
	if err := p.bound(p.boot, 10, &o); err != nil || o.Position != 7 || o.Settled != 10 || o.MinVersion != 5 {
		t.Errorf("got %+v, %v", o, err)
	}
}

func TestTokenOfTheFutureIsNone(t *testing.T) {
	p := part{position: 11}
	if err := p.bound(p.boot, 10, new(cache.ReadOptions)); err == nil {
		t.Error("a position that the clock has not reached was accepted")
	}
}

func TestTokenRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.Custom(drawPart), 1, maxParts).Draw(t, "parts")
		b := appendToken(nil, parts...)
		if len(b) > tokenHeader+len(parts)*maxPartSize {
			t.Fatalf("%d bytes", len(b))
		}
		got, err := decodeToken(b)
		if err != nil || len(got.parts) != len(parts) {
			t.Fatalf("got %+v, %v", got, err)
		}
		for i, p := range parts {
			if got.parts[i] != p {
				t.Fatalf("part %d: got %+v, want %+v", i, got.parts[i], p)
			}
		}
		if _, err := decodeToken(b[:rapid.IntRange(1, len(b)-1).Draw(t, "cut")]); err == nil {
			t.Fatal("a token that was cut was accepted")
		}
	})
}

func drawPart(t *rapid.T) part {
	p := part{boot: rapid.Uint64().Draw(t, "boot"), entry: rapid.Uint64().Draw(t, "entry"), position: time.Duration(rapid.Int64Range(0, math.MaxInt64/2).Draw(t, "position"))}
	p.settled = p.position + time.Duration(rapid.Uint32().Draw(t, "lag"))*time.Microsecond
	if p.versioned = rapid.Bool().Draw(t, "versioned"); p.versioned {
		p.version = rapid.Uint64().Draw(t, "version")
	}
	return p
}

func FuzzToken(f *testing.F) {
	f.Add([]byte{})
	f.Add(appendToken(nil, part{boot: 1, entry: 2, position: 3}))
	f.Add(appendToken(nil, part{boot: 1, entry: 2, position: 3, version: 4, versioned: true}, part{entry: 5}))
	f.Fuzz(func(t *testing.T, b []byte) {
		tok, err := decodeToken(b)
		if err != nil || len(tok.parts) == 0 {
			return
		}
		if again := appendToken(nil, tok.parts...); string(again) != string(b) {
			t.Errorf("%x was read as %x", b, again)
		}
	})
}
