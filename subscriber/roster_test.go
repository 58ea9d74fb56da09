package subscriber

import (
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// rosterModel drives a roster as Follow, the writer, the server and the handler
// do, one step at a time in any order.
type rosterModel struct {
	*roster

	// wire are the replies still to come, in order; subscribed is the server's
	// state once they have.
	wire       []string
	subscribed map[string]bool
	wanted     map[string]bool
	owed       map[string]bool // a confirmation is due since the last Follow
}

const modelChannels = 3

func newRosterModel() *rosterModel {
	m := &rosterModel{subscribed: map[string]bool{}, wanted: map[string]bool{}, owed: map[string]bool{}}
	m.roster = newRoster(modelChannels, make(chan struct{}, 1), make(chan struct{}, 1))
	return m
}

func (m *rosterModel) follow(t *rapid.T) {
	tenant := rapid.StringMatching("[a-e]").Draw(t, "tenant")
	m.roster.follow(tenant)
	m.wanted[tenant], m.owed[tenant] = true, true
}

func (m *rosterModel) unfollow(t *rapid.T) {
	tenant := rapid.StringMatching("[a-e]").Draw(t, "tenant")
	m.roster.unfollow(tenant)
	delete(m.wanted, tenant)
	delete(m.owed, tenant)
}

func (m *rosterModel) write(t *rapid.T) {
	c, _ := m.next()
	for _, tenant := range c.subscribe {
		m.command(t, tenant, true)
	}
	for _, tenant := range c.unsubscribe {
		m.command(t, tenant, false)
	}
}

func (m *rosterModel) command(t *rapid.T, tenant string, subscribe bool) {
	if m.subscribed[tenant] == subscribe {
		t.Fatalf("%s: the same command twice", tenant)
	}
	m.subscribed[tenant] = subscribe
	for range modelChannels {
		m.wire = append(m.wire, tenant)
	}
}

func (m *rosterModel) receive(t *rapid.T) {
	if len(m.wire) == 0 {
		if _, ok := m.reply("a"); ok {
			t.Fatal("accepted a reply that nobody asked for")
		}
		return
	}
	tenant := m.wire[0]
	m.wire = m.wire[1:]
	confirmed, ok := m.reply(tenant)
	if !ok {
		t.Fatalf("%s: an expected reply is unasked", tenant)
	}
	if confirmed {
		m.confirm(t, tenant)
	}
}

func (m *rosterModel) confirm(t *rapid.T, tenant string) {
	if !m.wanted[tenant] || !m.subscribed[tenant] {
		t.Fatalf("%s: confirmed, though not followed or not subscribed", tenant)
	}
	for _, pending := range m.wire {
		if pending == tenant {
			t.Fatalf("%s: confirmed with replies outstanding", tenant)
		}
	}
	delete(m.owed, tenant)
	m.told()
}

func (m *rosterModel) again(t *rapid.T) {
	if tenant, ok := m.repeated(); ok {
		m.confirm(t, tenant)
	}
}

func (m *rosterModel) reconnect(*rapid.T) {
	m.reset()
	m.wire, m.subscribed = nil, map[string]bool{}
	for tenant := range m.wanted {
		m.owed[tenant] = true
	}
}

// settle lets everything happen that is due, and checks that nothing is left.
func (m *rosterModel) settle(t *rapid.T) {
	for range 20 {
		m.write(t)
		for len(m.wire) > 0 {
			m.receive(t)
		}
		m.again(t)
	}
	if len(m.owed) > 0 || m.awaited != 0 || !m.settled() || len(m.dirty)+len(m.roster.again) > 0 {
		t.Fatalf("unfinished: owed %v, %+v", m.owed, m.roster)
	}
	if m.len() != len(m.wanted) {
		t.Fatalf("%d seats for %d tenants", m.len(), len(m.wanted))
	}
	for tenant := range m.wanted {
		if !m.subscribed[tenant] {
			t.Fatalf("%s is not subscribed", tenant)
		}
	}
}

func TestRosterConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newRosterModel()
		t.Repeat(map[string]func(*rapid.T){
			"follow": m.follow, "unfollow": m.unfollow, "write": m.write,
			"receive": m.receive, "again": m.again, "reconnect": m.reconnect,
		})
		m.settle(t)
	})
}

func TestRosterWindow(t *testing.T) {
	r := newRoster(10, make(chan struct{}, 1), make(chan struct{}, 1))
	for i := range 10_000 {
		r.follow(strconv.Itoa(i))
	}
	for more := true; more; {
		_, more = r.next()
	}
	if r.awaited != replyWindow {
		t.Errorf("%d replies awaited, want the window of %d", r.awaited, replyWindow)
	}
}

// While a confirmation is being told, its channels stay subscribed.
func TestRosterDoesNotCommandWhileCalling(t *testing.T) {
	r := newRoster(1, make(chan struct{}, 1), make(chan struct{}, 1))
	r.follow("a")
	r.next()
	if confirmed, _ := r.reply("a"); !confirmed {
		t.Fatal("not confirmed")
	}
	r.unfollow("a")
	if c, ok := r.next(); ok {
		t.Errorf("commanded %v while the confirmation was being told", c)
	}
	r.told()
	if c, ok := r.next(); !ok || len(c.unsubscribe) != 1 {
		t.Errorf("commanded %v afterwards", c)
	}
}
