package strictyaml

import (
	"cmp"
	"encoding"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

func (r *Report) scalar(n *yaml.Node, v reflect.Value, key string, tag reflect.StructTag) {
	switch {
	case n.Kind != yaml.ScalarNode:
		r.node(n, key, "%s; %s is needed", describe(n), wanted(v))
	case isNull(n):
		r.node(n, key, `has no value; give one (as "" where it is to be empty) or leave the key out`)
	default:
		if wrong := setText(v, n.Value, tag); wrong != "" {
			r.node(n, key, "%s", wrong)
		}
	}
}

// setText sets a scalar from its text, or says what is wrong with it.
func setText(v reflect.Value, text string, tag reflect.StructTag) string {
	made := reflect.New(v.Type()).Elem()
	if wrong := parseInto(made, text); wrong != "" {
		return wrong
	}
	if wrong := outside(made, text, tag); wrong != "" {
		return wrong
	}
	v.Set(made)
	return ""
}

func parseInto(v reflect.Value, text string) string {
	bad := quote(text) + " is not " + wanted(v)
	if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		if err := u.UnmarshalText([]byte(text)); err != nil {
			return err.Error() // which quotes the text, unless it is a secret
		}
		return ""
	}
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		d, err := time.ParseDuration(text)
		if err != nil {
			return bad
		}
		v.SetInt(int64(d))
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		if text != "true" && text != "false" {
			return bad
		}
		v.SetBool(text == "true")
	case v.CanInt():
		i, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return bad
		}
		v.SetInt(i)
	case v.CanFloat():
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return bad
		}
		v.SetFloat(f)
	default:
		panic("strictyaml: no way to read a " + v.Type().String())
	}
	return ""
}

// wanted says what a value of v's type looks like.
func wanted(v reflect.Value) string {
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		return "a duration such as 200ms, 4s or 15m"
	case v.Kind() == reflect.Bool:
		return "true or false"
	case v.Kind() == reflect.String:
		return "text"
	case v.CanFloat():
		return "a number such as 1.25"
	}
	return "a whole number"
}

// outside says how a value breaks its tag's words or bounds, if it does.
func outside(v reflect.Value, text string, tag reflect.StructTag) string {
	if words := strings.Split(tag.Get("oneof"), "|"); len(words) > 1 && !slices.Contains(words, v.String()) {
		return quote(text) + " is none of " + strings.Join(words, ", ")
	}
	if low := tag.Get("min"); low != "" && compare(v, low) < 0 {
		return quote(text) + " is too small; at least " + low
	}
	if high := tag.Get("max"); high != "" && compare(v, high) > 0 {
		return quote(text) + " is too large; at most " + high
	}
	return ""
}

func compare(v reflect.Value, bound string) int {
	limit := reflect.New(v.Type()).Elem()
	if wrong := parseInto(limit, bound); wrong != "" {
		panic("strictyaml: a bound: " + wrong)
	}
	if v.CanFloat() {
		return cmp.Compare(v.Float(), limit.Float())
	}
	return cmp.Compare(v.Int(), limit.Int())
}
