package kinds

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// valueOf makes a CEL value of JSON text. Objects are read a level at a time,
// as an expression asks for their members; lists as they are reached.
func valueOf(raw []byte) ref.Val {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return types.NewErr("no JSON value")
	}
	switch raw[0] {
	case '{':
		return &object{raw: raw}
	case '[':
		return listOf(raw)
	case '"':
		s, ok := unquote(raw)
		if !ok {
			return types.NewErr("not a JSON string of Unicode text")
		}
		return types.String(s)
	case 't', 'f':
		return types.Bool(raw[0] == 't')
	case 'n':
		return types.NullValue
	}
	return numberOf(string(raw))
}

// numberOf gives whole numbers of 64 bits exactly and others as the nearest
// double, which is right for comparing.
func numberOf(text string) ref.Val {
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return types.Int(i)
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return types.NewErr("a number beyond the range of a double")
	}
	return types.Double(f)
}

// manyMembers is where an object finds its members by an index instead of one
// after the other.
const manyMembers = 16

// object is a JSON object as a CEL map. It belongs to one evaluation.
type object struct {
	raw     []byte
	opened  bool
	members []memberValue
	index   map[string]int // of objects with many members
	whole   traits.Mapper
}

type memberValue struct {
	name []byte // quoted
	raw  []byte
	val  ref.Val
}

func (o *object) open() {
	if o.opened {
		return
	}
	o.opened = true
	for name, raw := range members(o.raw) {
		o.members = append(o.members, memberValue{name: name, raw: raw})
	}
	if len(o.members) < manyMembers {
		return
	}
	o.index = make(map[string]int, len(o.members))
	for i, m := range o.members {
		if s, ok := unquote(m.name); ok {
			o.index[s] = i
		}
	}
}

// find returns the last member of that name, or nil.
func (o *object) find(name string) *memberValue {
	o.open()
	if o.index != nil {
		i, ok := o.index[name]
		if !ok {
			return nil
		}
		return &o.members[i]
	}
	for i := range slices.Backward(o.members) {
		if named(o.members[i].name, name) {
			return &o.members[i]
		}
	}
	return nil
}

func (m *memberValue) value() ref.Val {
	if m.val == nil {
		m.val = valueOf(m.raw)
	}
	return m.val
}

// full is the object with the values of all its members.
func (o *object) full() traits.Mapper {
	if o.whole == nil {
		o.open()
		all := make(map[string]any, len(o.members))
		for i := range o.members {
			if name, ok := unquote(o.members[i].name); ok {
				all[name] = o.members[i].value()
			}
		}
		o.whole = types.NewStringInterfaceMap(types.DefaultTypeAdapter, all)
	}
	return o.whole
}

// Find implements [traits.Mapper].
func (o *object) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return nil, false
	}
	m := o.find(string(name))
	if m == nil {
		return nil, false
	}
	v := m.value()
	return v, !types.IsError(v)
}

// Get implements [traits.Indexer].
func (o *object) Get(key ref.Val) ref.Val {
	v, found := o.Find(key)
	if !found {
		return types.ValOrErr(v, "no such key: %v", key)
	}
	return v
}

// Contains implements [traits.Container].
func (o *object) Contains(key ref.Val) ref.Val {
	_, found := o.Find(key)
	return types.Bool(found)
}

// Size implements [traits.Sizer].
func (o *object) Size() ref.Val { return o.full().Size() }

// Iterator implements [traits.Iterable].
func (o *object) Iterator() traits.Iterator { return o.full().Iterator() }

// Equal implements [ref.Val].
func (o *object) Equal(other ref.Val) ref.Val { return o.full().Equal(other) }

// ConvertToNative implements [ref.Val].
func (o *object) ConvertToNative(t reflect.Type) (any, error) { return o.full().ConvertToNative(t) }

// ConvertToType implements [ref.Val].
func (o *object) ConvertToType(t ref.Type) ref.Val { return o.full().ConvertToType(t) }

// Type implements [ref.Val].
func (o *object) Type() ref.Type { return types.MapType }

// Value implements [ref.Val].
func (o *object) Value() any { return o.full().Value() }

// array is a JSON array as a CEL list that keeps its text.
type array struct {
	traits.Lister
	raw []byte
}

func listOf(raw []byte) ref.Val {
	var all []ref.Val
	for element := range elements(raw) {
		v := valueOf(element)
		if types.IsError(v) {
			return v
		}
		all = append(all, v)
	}
	return array{types.NewRefValList(types.DefaultTypeAdapter, all), raw}
}

// encodeValue appends a CEL value as JSON: deterministic, members by name,
// without HTML escapes. What came from the message keeps its text.
func encodeValue(dst *bytes.Buffer, v ref.Val) error {
	switch v := v.(type) {
	case *object:
		compact(dst, v.raw)
	case array:
		compact(dst, v.raw)
	case types.Null:
		dst.WriteString("null")
	case types.Bool, types.Int, types.Uint:
		fmt.Fprint(dst, v.Value())
	case types.Double:
		return encodeScalar(dst, float64(v))
	case types.String:
		return encodeScalar(dst, string(v))
	case traits.Lister:
		return encodeList(dst, v)
	case traits.Mapper:
		return encodeMap(dst, v)
	default:
		return fmt.Errorf("a %s is no JSON value", v.Type().TypeName())
	}
	return nil
}

func encodeScalar(dst *bytes.Buffer, v any) error {
	enc := json.NewEncoder(dst)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	dst.Truncate(dst.Len() - 1) // the line's end
	return nil
}

func encodeList(dst *bytes.Buffer, l traits.Lister) error {
	dst.WriteByte('[')
	first := true
	for it := l.Iterator(); it.HasNext() == types.True; first = false {
		if !first {
			dst.WriteByte(',')
		}
		if err := encodeValue(dst, it.Next()); err != nil {
			return err
		}
	}
	dst.WriteByte(']')
	return nil
}

func encodeMap(dst *bytes.Buffer, m traits.Mapper) error {
	var names []types.String
	for it := m.Iterator(); it.HasNext() == types.True; {
		name, ok := it.Next().(types.String)
		if !ok {
			return errors.New("a map whose keys are not strings is no JSON value")
		}
		names = append(names, name)
	}
	slices.Sort(names)
	dst.WriteByte('{')
	for i, name := range names {
		if i > 0 {
			dst.WriteByte(',')
		}
		if err := encodeScalar(dst, string(name)); err != nil {
			return err
		}
		dst.WriteByte(':')
		if err := encodeValue(dst, m.Get(name)); err != nil {
			return err
		}
	}
	dst.WriteByte('}')
	return nil
}
