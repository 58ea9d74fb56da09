package shard

import (
	"errors"
	"fmt"
	"strings"
)

// UnknownKindError says that no kind has the name. Known lists those there
// are, in the order of the kinds file.
type UnknownKindError struct {
	Kind  string
	Known []string
}

func (e *UnknownKindError) Error() string {
	return fmt.Sprintf("unknown kind %q; known are %s", e.Kind, strings.Join(e.Known, ", "))
}

// ErrTenantLimit says that a tenant could not be activated because the node
// holds limits.active_tenants already, or activates limits.activations_per_second.
// Its reads go to the origin until there is room.
var ErrTenantLimit = errors.New("too many active tenants: limits.active_tenants or limits.activations_per_second")
