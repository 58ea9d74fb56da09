package wrapper

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
)

// The tables.
const (
	operations table = "operation"
	roles      table = "role"
	users      table = "user"
	configs    table = "config"
	entities   table = "entity"
	balances   table = "balance"
)

// seedUsers is how many users each tenant has at least.
const seedUsers = 20

// named are the items of each table that have names of their own.
func (t table) named() []string {
	switch t {
	case operations:
		return []string{"crm.leads.create", "crm.leads.update", "crm.leads.delete", "crm.leads.export", "crm.contacts.create",
			"crm.contacts.merge", "crm.deals.create", "crm.deals.close", "crm.emails.send", "crm.reports.run"}
	case roles:
		return []string{"admin", "sales-manager", "sales-rep", "viewer"}
	case configs:
		return []string{"currency", "feature.lead-scoring", "limits.leads", "locale", "support"}
	case entities:
		return []string{"org-1", "division-1", "division-2", "team-1", "team-2", "team-3", "team-4"}
	}
	return nil
}

// generated is the prefix of the items that follow the named ones, "" if none do.
func (t table) generated() string {
	return map[table]string{operations: "crm.generated.", roles: "role-", users: "user-", configs: "config-", balances: "user-"}[t]
}

// total is how many seeded items a table has.
func (t table) total(items int) int {
	switch t {
	case users, balances:
		return max(items, seedUsers)
	case entities:
		return len(t.named())
	}
	return max(items, len(t.named()))
}

// seedKeys returns the keys of all seeded items of a table.
func seedKeys(t table, items int) []string {
	keys := slices.Grow(t.named(), t.total(items))
	for n := len(keys) + 1; n <= t.total(items); n++ {
		keys = append(keys, t.generated()+strconv.Itoa(n))
	}
	return keys
}

// isSeeded says whether seedKeys has the key, without making them.
func isSeeded(t table, key string, items int) bool {
	named := t.named()
	if slices.Contains(named, key) {
		return true
	}
	digits, found := strings.CutPrefix(key, t.generated())
	n, err := strconv.Atoi(digits)
	return found && err == nil && strconv.Itoa(n) == digits && n > len(named) && n <= t.total(items)
}

// seeded returns the item as it is before its first change, at version 1.
func seeded(at place, key string, items int) (record, bool) {
	if !isSeeded(at.table, key, items) {
		return record{}, false
	}
	return record{version: 1, fields: at.seed(key)}, true
}

// seed computes the fields from the names, so that two tenants differ: an
// answer that got to the wrong tenant shows.
func (at place) seed(key string) map[string]json.RawMessage {
	switch at.table {
	case operations:
		return map[string]json.RawMessage{"creditCost": at.cost(key)}
	case roles:
		return map[string]json.RawMessage{"roleName": encode(title(key)), "permissions": encode(permissions(key))}
	case users:
		return at.user(key)
	case configs:
		return map[string]json.RawMessage{"value": at.config(key)}
	case entities:
		return map[string]json.RawMessage{"entity": at.entity(key)}
	}
	return map[string]json.RawMessage{"availableCredits": at.credits(key)}
}

// number is a hash of the item's name, from 0 to below limit.
func (at place) number(key string, limit uint32) uint32 {
	h := fnv.New32a()
	fmt.Fprintf(h, "%s %s %s", at.tenant, at.table, key)
	return h.Sum32() % limit
}

func (at place) cost(operation string) json.RawMessage {
	if operation == "crm.leads.create" && (at.tenant == "123" || at.tenant == SeedTenant) {
		return json.RawMessage("2.5")
	}
	n := at.number(operation, 100)
	return json.RawMessage(fmt.Sprintf("%d.%d0", n/10, n%10))
}

func permissions(role string) []string {
	switch role {
	case "admin":
		return []string{"crm.*"}
	case "sales-manager":
		return []string{"crm.leads.*", "crm.contacts.*", "crm.deals.*", "crm.reports.run"}
	case "sales-rep":
		return []string{"crm.leads.create", "crm.leads.update", "crm.contacts.create", "crm.emails.send"}
	}
	return []string{"crm.reports.run"}
}

// user: user-1 is an active sales manager, user-2 an active sales
// representative, user-3 an active viewer; every tenth user is suspended.
func (at place) user(key string) map[string]json.RawMessage {
	n, _ := strconv.Atoi(strings.TrimPrefix(key, "user-"))
	status := "active"
	if n%10 == 0 {
		status = "suspended"
	}
	role := []string{"admin", "sales-manager", "sales-rep", "viewer"}[n%4]
	profile := map[string]any{"name": title(key), "email": key + "@" + at.tenant + ".example", "team": fmt.Sprintf("team-%d", n%4+1)}
	return map[string]json.RawMessage{"status": encode(status), "roles": encode([]string{role}), "profile": encode(profile)}
}

func (at place) config(name string) json.RawMessage {
	switch name {
	case "currency":
		return encode([]string{"EUR", "USD", "GBP"}[at.number(name, 3)])
	case "feature.lead-scoring":
		return encode(at.number(name, 2) == 0)
	case "locale":
		return encode("en-GB")
	case "support":
		return encode(map[string]any{"email": "help@" + at.tenant + ".example", "hours": "9-17"})
	}
	return encode(at.number(name, 10_000))
}

func (at place) entity(id string) json.RawMessage {
	parents := map[string]string{"division-1": "org-1", "division-2": "org-1",
		"team-1": "division-1", "team-2": "division-1", "team-3": "division-2", "team-4": "division-2"}
	children := []string{}
	for _, child := range entities.named() {
		if parents[child] == id {
			children = append(children, child)
		}
	}
	e := map[string]any{"entityName": title(id) + " of " + at.tenant, "children": children}
	if parent := parents[id]; parent != "" {
		e["parentId"] = parent
	}
	return encode(e)
}

// credits: user-1 has plenty, user-3 none.
func (at place) credits(user string) json.RawMessage {
	switch user {
	case "user-1":
		return json.RawMessage("100")
	case "user-3":
		return json.RawMessage("0")
	}
	n := at.number(user, 1000)
	return json.RawMessage(fmt.Sprintf("%d.%d0", n/10, n%10))
}

// title turns "sales-manager" into "Sales Manager".
func title(key string) string {
	words := strings.FieldsFunc(key, func(r rune) bool { return r == '-' || r == '.' })
	for i, w := range words {
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, " ")
}
