package rpc

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// decimal is an exact decimal number: 0.digits × 10^exponent, with no zero at
// either end of the digits. Zero has no digits.
type decimal struct {
	negative bool
	digits   string
	exponent int64
}

// maxExponent bounds the exponent that is written out; it keeps the sums below
// within 64 bits. Comparing costs the same whatever the exponent is.
const maxExponent = math.MaxInt32

// decimalText returns the text of a JSON number, or of a JSON string that holds
// one, exactly as it is written.
func decimalText(raw json.RawMessage) (string, bool) {
	text := strings.Trim(string(raw), `"`)
	_, ok := parseDecimal(text)
	return text, ok
}

// parseDecimal reads a number as JSON writes them.
func parseDecimal(text string) (decimal, bool) {
	var d decimal
	text, d.negative = strings.CutPrefix(text, "-")
	mantissa, exponent, scientific := text, "", false
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		mantissa, exponent, scientific = text[:i], text[i+1:], true
	}
	whole, fraction, pointed := strings.Cut(mantissa, ".")
	if !isDigits(whole) || pointed && !isDigits(fraction) || len(whole) > 1 && whole[0] == '0' {
		return decimal{}, false
	}
	if scientific {
		e, err := strconv.ParseInt(exponent, 10, 64)
		if err != nil || e > maxExponent || e < -maxExponent {
			return decimal{}, false
		}
		d.exponent = e
	}
	return d.of(whole, fraction), true
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// of returns d with the digits that are written before and after the point.
func (d decimal) of(whole, fraction string) decimal {
	all := whole + fraction
	significant := strings.TrimLeft(all, "0")
	d.exponent += int64(len(whole) - (len(all) - len(significant)))
	d.digits = strings.TrimRight(significant, "0")
	if d.digits == "" {
		return decimal{}
	}
	return d
}

// compare returns -1, 0 or 1 as d is less than, equal to or greater than other.
func (d decimal) compare(other decimal) int {
	sign := d.sign()
	if sign != other.sign() || sign == 0 {
		return max(-1, min(1, sign-other.sign()))
	}
	switch {
	case d.exponent < other.exponent:
		return -sign
	case d.exponent > other.exponent:
		return sign
	}
	return sign * strings.Compare(d.digits, other.digits)
}

func (d decimal) sign() int {
	switch {
	case d.digits == "":
		return 0
	case d.negative:
		return -1
	}
	return 1
}

// covers reports whether the credits suffice for the cost; both are texts that
// decimalText has accepted.
func covers(credits, cost string) bool {
	a, _ := parseDecimal(credits)
	b, _ := parseDecimal(cost)
	return a.compare(b) >= 0
}
