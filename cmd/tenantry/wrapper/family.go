package wrapper

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// family is one sort of path, and the view of the records behind it.
type family struct {
	// name is the path's part after the tenant, and the list's path if listed;
	// one is the pattern of an item.
	name, one string
	listed    bool
	table     table
	// topic is the canonical topic; event the type without "-changed".
	topic, event string
	// id is the member of a document that holds the key.
	id string
	// fields are what a PUT may change, with their checks; object, if not
	// empty, is instead the one field that takes the whole body.
	fields map[string]check
	object string
	// render makes the document.
	render func(key string, r record) any
	// data makes the event's data of a change (of the old record for a removal).
	data func(key string, old, now record) any
}

// check validates the JSON text of a field.
type check func(json.RawMessage) error

func families() []*family {
	return []*family{creditConfigFamily(), roleFamily(), userStatusFamily(), configFamily(), userFamily(), hierarchyFamily(), creditsFamily()}
}

func creditConfigFamily() *family {
	type document struct {
		OperationCode string          `json:"operationCode"`
		CreditCost    json.RawMessage `json:"creditCost"`
		Version       uint64          `json:"version"`
	}
	type change struct {
		OperationCode string          `json:"operationCode"`
		ChangedFields []string        `json:"changedFields,omitempty"`
		NewValue      json.RawMessage `json:"newValue,omitempty"`
		OldValue      json.RawMessage `json:"oldValue,omitempty"`
	}
	return &family{name: "credit-configs", one: "credit-configs/{key}", listed: true, table: operations,
		topic: "credit-configs", event: "credit-config", id: "operationCode", fields: map[string]check{"creditCost": isAmount},
		render: func(key string, r record) any { return document{key, r.fields["creditCost"], r.version} },
		data: func(key string, old, now record) any {
			if now.gone {
				return change{OperationCode: key}
			}
			return change{key, []string{"credit_cost"}, now.fields["creditCost"], old.fields["creditCost"]}
		}}
}

func roleFamily() *family {
	type document struct {
		RoleID      string          `json:"roleId"`
		RoleName    json.RawMessage `json:"roleName,omitempty"`
		Permissions json.RawMessage `json:"permissions,omitempty"`
		Version     uint64          `json:"version,omitempty"`
	}
	return &family{name: "roles", one: "roles/{key}", listed: true, table: roles, topic: "roles", event: "role", id: "roleId",
		fields: map[string]check{"roleName": isText, "permissions": isTexts},
		render: func(key string, r record) any {
			return document{key, r.fields["roleName"], or(r.fields["permissions"], "[]"), r.version}
		},
		data: func(key string, _, now record) any {
			return document{RoleID: key, RoleName: now.fields["roleName"], Permissions: now.fields["permissions"]}
		}}
}

func userStatusFamily() *family {
	type document struct {
		UserID  string          `json:"userId"`
		Status  json.RawMessage `json:"status"`
		Roles   json.RawMessage `json:"roles"`
		Version uint64          `json:"version"`
	}
	return &family{name: "user-status", one: "user-status/{key}", listed: true, table: users, topic: "users", event: "user", id: "userId",
		fields: map[string]check{"status": isText, "roles": isTexts},
		render: func(key string, r record) any {
			return document{key, or(r.fields["status"], `"active"`), or(r.fields["roles"], "[]"), r.version}
		},
		data: userChange}
}

// userChange says the whole status whichever view was changed, so that nobody
// has to ask for it.
func userChange(key string, _, now record) any {
	type change struct {
		UserID string          `json:"userId"`
		Status json.RawMessage `json:"status,omitempty"`
		Roles  json.RawMessage `json:"roles,omitempty"`
	}
	if now.gone {
		return change{UserID: key}
	}
	return change{key, or(now.fields["status"], `"active"`), or(now.fields["roles"], "[]")}
}

func userFamily() *family {
	return &family{name: "users", one: "users/{key}", table: users, topic: "users", event: "user", id: "userId", object: "profile",
		render: func(key string, r record) any { return merged("userId", key, r.fields["profile"], r.version) },
		data:   userChange}
}

func configFamily() *family {
	type document struct {
		Name    string          `json:"name"`
		Value   json.RawMessage `json:"value,omitempty"`
		Version uint64          `json:"version,omitempty"`
	}
	return &family{name: "configs", one: "configs/{key}", listed: true, table: configs, topic: "configs", event: "config", id: "name",
		fields: map[string]check{"value": func(json.RawMessage) error { return nil }},
		render: func(key string, r record) any { return document{key, or(r.fields["value"], "null"), r.version} },
		data:   func(key string, _, now record) any { return document{Name: key, Value: now.fields["value"]} }}
}

func hierarchyFamily() *family {
	type change struct {
		EntityID   string          `json:"entityId"`
		EntityName json.RawMessage `json:"entityName,omitempty"`
	}
	return &family{name: "hierarchy", one: "hierarchy/{key}", table: entities, topic: "hierarchy", event: "hierarchy", id: "entityId", object: "entity",
		render: func(key string, r record) any { return merged("entityId", key, r.fields["entity"], r.version) },
		data: func(key string, _, now record) any {
			return change{key, members(now.fields["entity"])["entityName"]}
		}}
}

func creditsFamily() *family {
	type document struct {
		UserID           string          `json:"userId"`
		AvailableCredits json.RawMessage `json:"availableCredits"`
		Version          uint64          `json:"version"`
	}
	type change struct {
		UserID string `json:"userId"`
	}
	return &family{name: "credits", one: "users/{key}/credits", table: balances, topic: "credit-balances", event: "credit-balance", id: "userId",
		fields: map[string]check{"availableCredits": isAmount},
		render: func(key string, r record) any { return document{key, r.fields["availableCredits"], r.version} },
		data:   func(key string, _, _ record) any { return change{key} }}
}

// merged is an object of anybody's making with the key and version in it.
func merged(id, key string, object json.RawMessage, version uint64) map[string]json.RawMessage {
	m := members(object)
	m[id], m["version"] = encode(key), encode(version)
	return m
}

// members decodes one level of an object that was checked before.
func members(object json.RawMessage) map[string]json.RawMessage {
	m := make(map[string]json.RawMessage)
	_ = json.Unmarshal(or(object, "{}"), &m)
	return m
}

func or(text json.RawMessage, otherwise string) json.RawMessage {
	if len(text) == 0 {
		return json.RawMessage(otherwise)
	}
	return text
}

// edit checks the body of a PUT and returns what it sets. The key may be in
// the body, too, and a version, which is of no consequence.
func (f *family) edit(key string, body map[string]json.RawMessage) (map[string]json.RawMessage, error) {
	if given, ok := body[f.id]; ok && !bytes.Equal(given, encode(key)) {
		var text string
		if json.Unmarshal(given, &text) != nil || text != key {
			return nil, fmt.Errorf("%s: is not the one of the path", f.id)
		}
	}
	delete(body, f.id)
	delete(body, "version")
	if f.object != "" {
		return map[string]json.RawMessage{f.object: encode(body)}, nil
	}
	for name, text := range body {
		check, ok := f.fields[name]
		if !ok {
			return nil, fmt.Errorf("%s: no such field", name)
		}
		if err := check(text); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if len(body) == 0 {
		return nil, errors.New("nothing to change")
	}
	return body, nil
}

// missing returns a field without which an item cannot be, "" if none lacks.
func (f *family) missing(fields map[string]json.RawMessage) string {
	for _, name := range []string{"creditCost", "permissions", "value", "availableCredits"} {
		if f.fields[name] != nil && fields[name] == nil {
			return name
		}
	}
	return ""
}
