package origin

import (
	"fmt"

	"github.com/tenantry/tenantry/cmd/chaos/history"
)

// Announcement is how an event tells of a commit.
type Announcement struct {
	// Value carries the whole value; without it, the event invalidates.
	Value bool
	// Versioned carries the version, if the item has one.
	Versioned bool
	// Alias is published on the topic's other name.
	Alias bool
}

// String returns what the event says, for people.
func (a Announcement) String() string {
	text := "invalidates"
	if a.Value {
		text = "sets"
	}
	if a.Versioned {
		text += ", versioned"
	}
	return text
}

// topic is where a family's events go, and what they carry.
type topic struct {
	name, alias string
	// key is the format of the data that names the item, value of what a commit
	// adds to it: a number.
	key, value string
}

func (f Family) topic() topic {
	return [...]topic{
		Credit:  {"credit-configs", "credit-config-changed", `"operationCode":%q`, `,"newValue":%d`},
		Role:    {"roles", "role-changed", `"roleId":%q`, `,"permissions":["p%d"]`},
		Person:  {"users", "user-changed", `"userId":%q`, `,"status":"active","roles":["r%d"]`},
		Config:  {"configs", "config-changed", `"name":%q`, `,"value":{"n":%d}`},
		Balance: {"credit-balances", "credit-balance-changed", `"userId":%q`, ""},
	}[f]
}

// Event returns the channel and the message that tell of a commit of an item.
func (o *Origin) Event(item int, c history.Commit, a Announcement) (channel, message string) {
	i := &o.items[item]
	t := i.family.topic()
	name := t.name
	if a.Alias {
		name = t.alias
	}
	data := fmt.Sprintf(t.key, i.key)
	if a.Value && !c.Absent && t.value != "" {
		data += fmt.Sprintf(t.value, c.Number)
	}
	head := fmt.Sprintf(`"eventId":"c%d","eventType":%q,"tenantId":%q`, c.Number, t.alias, i.tenant)
	if a.Versioned && c.Version != 0 {
		head += fmt.Sprintf(`,"version":%d`, c.Version)
	}
	if c.Absent && a.Value {
		head += `,"deleted":true`
	}
	return channelOf(i.tenant, name), fmt.Sprintf(`{%s,"data":{%s}}`, head, data)
}

func channelOf(tenant, topic string) string { return "crm:" + tenant + ":" + topic }

// Channel returns one of a tenant's channels.
func Channel(tenant string) string { return channelOf(tenant, Credit.topic().name) }

// Channels returns the channels of all tenants, under both names of their topics.
func (o *Origin) Channels() (all []string) {
	tenants := make(map[string]bool)
	for i := range o.items {
		tenants[o.items[i].tenant] = true
	}
	for tenant := range tenants {
		for f := range families {
			t := f.topic()
			all = append(all, channelOf(tenant, t.name), channelOf(tenant, t.alias))
		}
	}
	return all
}
