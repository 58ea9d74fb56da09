// Package traffic changes the origin's items and tells the bus of it, in every way
// that publishers have, and reads the node in every way that readers have. Both
// write what they did into the history.
package traffic
