package rpc

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// membersOf returns the JSON texts of the members of an object; nil if it is
// none.
func membersOf(object []byte) map[string]json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(object, &members) != nil {
		return nil
	}
	return members
}

// memberOf returns the JSON text of one member of an object, or nil.
func memberOf(object []byte, name string) json.RawMessage { return membersOf(object)[name] }

// textsOf reads an array of strings. A null, in it or instead of it, is none:
// it would otherwise pass for an empty string, or for an empty array.
func textsOf(raw json.RawMessage) ([]string, bool) {
	var texts []string
	if json.Unmarshal(raw, &texts) != nil || texts == nil {
		return nil, false
	}
	if !bytes.Contains(raw, []byte("null")) {
		return texts, true
	}
	var elements []*string
	if json.Unmarshal(raw, &elements) != nil || slices.Contains(elements, nil) {
		return nil, false
	}
	return texts, true
}

// userStatus is the value of a user-status. The raw members are JSON, as the
// origin wrote them.
type userStatus struct {
	status             string
	roles              []string
	rawStatus, rawList json.RawMessage
}

// statusOf reads a user-status. The error says what it lacks.
func statusOf(e entry, value []byte) (userStatus, error) {
	members := membersOf(value)
	u := userStatus{rawStatus: members["status"], rawList: members["roles"]}
	var status *string
	if json.Unmarshal(u.rawStatus, &status) != nil || status == nil {
		return u, &unusableError{e, "status"}
	}
	u.status = *status
	var ok bool
	if u.roles, ok = textsOf(u.rawList); !ok {
		return u, &unusableError{e, "roles"}
	}
	return u, nil
}

// permissionsOf reads the permissions of a role.
func permissionsOf(e entry, value []byte) (permissions []string, raw json.RawMessage, err error) {
	raw = memberOf(value, "permissions")
	permissions, ok := textsOf(raw)
	if !ok {
		return nil, nil, &unusableError{e, "permissions"}
	}
	return permissions, raw, nil
}

// configOf reads the value of a config, which may be any JSON.
func configOf(e entry, value []byte) (json.RawMessage, error) {
	raw := memberOf(value, "value")
	if raw == nil {
		return nil, &unusableError{e, "value"}
	}
	return raw, nil
}

// permits reports whether a permission covers an operation: it is the
// operation, or it ends in "*" and the operation begins with what precedes that.
func permits(permission, operation string) bool {
	if prefix, ok := strings.CutSuffix(permission, "*"); ok {
		return strings.HasPrefix(operation, prefix)
	}
	return permission == operation
}
