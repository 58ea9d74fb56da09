// Package strictyaml reads YAML into structs and reports every mistake at once.
//
// A struct says what its keys are by field tags:
//
//	yaml:"name"       the key
//	doc:"…"           one line for people, with the unit
//	oneof:"a|b"       the words a string may be
//	min:"…" max:"…"   the bounds of a number, duration or size, both allowed
//
// Fields keep the values they have where the file says nothing, so defaults are
// set before reading. Everything a reader could get wrong without noticing is a
// mistake: unknown and repeated keys, values of another type, numbers without a
// unit, keys without a value, a second document, anchors, aliases, merge keys
// and tags. A document is walked by the shape of the struct, never by its own,
// so that depth and size of the input cost no more than parsing it.
//
// A [Report] collects the mistakes, those of the reader and those that the
// caller finds afterwards, each with the place of its key. Nothing here is safe
// for concurrent use, and nothing is kept between calls.
package strictyaml
