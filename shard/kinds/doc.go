// Package kinds turns a kinds file into what the cache, the origin reader and
// the bus need to know of each kind of data. Kinds are configuration, not code:
// the built-in preset is such a file too.
//
// A kind maps an event and an origin document to one canonical value with CEL
// expressions over `event` (the whole message) or `doc` (the whole document),
// compiled once. An expression that only names a member, such as
// event.data.newValue or doc["unit-price"], is not evaluated at all: the
// member's JSON text passes through as it is, so 3.10 stays 3.10 and no number
// ever becomes a float. Member names match exactly; of a repeated member the
// last counts, as in most JSON decoders.
//
// Other expressions see JSON numbers as CEL ints where they are whole and fit 64
// bits, else as doubles; a number beyond the range of a double is an error.
// That is right for comparing. Objects and lists that such an expression hands
// on keep their text, but a number it returns is written anew (3.10 becomes
// 3.1), so name the member where its decimal text matters.
//
// Events are hostile until proven otherwise. An expression that fails, needs a
// member that is not there, loops for more than 10 ms, or would look at an event
// of more than 10,000 values makes the event invalidate the entry, which is
// always safe; a key that cannot be told refuses the event. So one event of 1 MiB
// never takes 20 ms. Documents may hold 100,000 values and take a second; one
// that fails, or does not meet document.valid, is the origin's fault.
//
// The Definition of a kind is a hash of all that a file says of it, but for times:
// nodes with the same one make the same value of an event or a document.
//
// A [Set] is immutable and safe for concurrent use; the package starts no
// goroutines.
package kinds
