package rpc

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
)

func TestEntryValidate(t *testing.T) {
	long := strings.Repeat("x", 513)
	for _, test := range []struct {
		e    entry
		want string // the field, or nothing
	}{
		{entry{"acme", "role", "admin"}, ""},
		{entry{"A.b_c-9", "role", "../x"}, ""},
		{entry{"...", "role", "a/b"}, ""},
		{entry{"t", "role", "%2e%2e"}, ""},
		{entry{"t", "role", "…éж\u00a0"}, ""},
		{entry{"t", "role", " "}, ""},
		{entry{"t", "role", long[:512]}, ""},
		{entry{long[:64], "role", "k"}, ""},
		{entry{"", "role", "k"}, "tenant"},
		{entry{".", "role", "k"}, "tenant"},
		{entry{"..", "role", "k"}, "tenant"},
		{entry{"a b", "role", "k"}, "tenant"},
		{entry{"é", "role", "k"}, "tenant"},
		{entry{"a/b", "role", "k"}, "tenant"},
		{entry{"a:b", "role", "k"}, "tenant"},
		{entry{"a*", "role", "k"}, "tenant"},
		{entry{"a\x00", "role", "k"}, "tenant"},
		{entry{long[:65], "role", "k"}, "tenant"},
		{entry{"t", "", "k"}, "kind"},
		{entry{"t", "a b", "k"}, "kind"},
		{entry{"t", "role", ""}, "key"},
		{entry{"t", "role", "."}, "key"},
		{entry{"t", "role", ".."}, "key"},
		{entry{"t", "role", long}, "key"},
		{entry{"t", "role", "a\x00"}, "key"},
		{entry{"t", "role", "a\r\n"}, "key"},
		{entry{"t", "role", "\x7f"}, "key"},
		{entry{"t", "role", "\u0085"}, "key"},
		{entry{"t", "role", "\xff"}, "key"},
		{entry{"t", "role", "a\xc2"}, "key"},
	} {
		err := test.e.validate("key")
		field := ""
		if err != nil {
			field, _, _ = strings.Cut(err.Error(), ":")
		}
		if field != test.want {
			t.Errorf("%q: got %v, want %q", test.e, err, test.want)
		}
	}
}

func TestValidateDoesNotAllocate(t *testing.T) {
	e := entry{"acme", "credit-config", "crm.leads.create"}
	if n := testing.AllocsPerRun(100, func() { _ = e.validate("key") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestMaxAge(t *testing.T) {
	for _, test := range []struct {
		d    *durationpb.Duration
		want time.Duration
		ok   bool
	}{
		{durationpb.New(0), 0, true},
		{durationpb.New(1500 * time.Millisecond), 1500 * time.Millisecond, true},
		{&durationpb.Duration{Seconds: 1 << 60}, 1<<63 - 1, true},
		{durationpb.New(-1), 0, false},
		{&durationpb.Duration{Seconds: -5}, 0, false},
		{&durationpb.Duration{Seconds: 1, Nanos: 2e9 - 1}, 0, false},
		{&durationpb.Duration{Seconds: 5, Nanos: -1}, 0, false},
	} {
		got, err := maxAge(test.d)
		if got != test.want || (err == nil) != test.ok {
			t.Errorf("%v: got %v, %v", test.d, got, err)
		}
	}
}
