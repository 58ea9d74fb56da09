package rpc

import (
	"encoding/json"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestCovers(t *testing.T) {
	for _, test := range []struct {
		credits, cost string
		want          bool
	}{
		{"3", "3.0", true},
		{"3.10", "3.1", true},
		{"3.09", "3.1", false},
		{"0.1", "0.30000000000000004", false},
		{"0.3", "0.30000000000000000000000000000001", false},
		{"10", "9", true},
		{"9007199254740993", "9007199254740992", true},
		{"9007199254740992", "9007199254740993", false},
		{"0", "-0.0", true},
		{"-1", "0", false},
		{"-1", "-2", true},
		{"-2", "-1", false},
		{"1e2", "100", true},
		{"1E+2", "100.01", false},
		{"100e-2", "1", true},
		{"1e999999999", "1", true},
		{"1", "1e999999999", false},
		{"1e-999999999", "0", true},
		{"0e999999999", "0", true},
	} {
		if got := covers(test.credits, test.cost); got != test.want {
			t.Errorf("%s covers %s: got %v", test.credits, test.cost, got)
		}
	}
}

func TestDecimalTextKeepsTheText(t *testing.T) {
	for raw, want := range map[string]string{
		"3.10": "3.10", "3.0": "3.0", `"2.50"`: "2.50", "1e5": "1e5", "-0": "-0",
		"null": "", "true": "", `""`: "", `"x"`: "", "{}": "", `"1_0"`: "", `"0x1p2"`: "", `".5"`: "",
		`"01"`: "", `"1."`: "", `"1e"`: "", "": "", `"NaN"`: "", `"Infinity"`: "", "1e99999999999999999999": "",
	} {
		got, ok := decimalText(json.RawMessage(raw))
		if ok != (want != "") || ok && got != want {
			t.Errorf("%s: got %q, %v", raw, got, ok)
		}
	}
}

func TestHostileDecimalsAreCheap(t *testing.T) {
	start := time.Now()
	long := strings.Repeat("9", 1<<20)
	covers("1e2147483647", "1e-2147483647")
	covers(long, long+".5")
	if took := time.Since(start); took > time.Second {
		t.Errorf("took %v", took)
	}
}

// smallExponent keeps big.Rat from what the decimals here are not afraid of.
var smallExponent = regexp.MustCompile(`^-?[0-9.]{1,40}([eE][+-]?[0-9]{1,2})?$`)

func FuzzDecimal(f *testing.F) {
	f.Add("3.10", "3.1")
	f.Add("-0.00", "1e-5")
	f.Add("100e-2", "0.9999")
	f.Fuzz(func(t *testing.T, a, b string) {
		x, ok := parseDecimal(a)
		y, ok2 := parseDecimal(b)
		if ok && !json.Valid([]byte(a)) {
			t.Errorf("%q is not a number of JSON", a)
		}
		if !ok || !ok2 || !smallExponent.MatchString(a) || !smallExponent.MatchString(b) {
			return
		}
		p, _ := new(big.Rat).SetString(a)
		q, _ := new(big.Rat).SetString(b)
		if got, want := x.compare(y), p.Cmp(q); got != want {
			t.Errorf("%s against %s: got %d, want %d", a, b, got, want)
		}
	})
}
