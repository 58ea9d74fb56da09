package cluster

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tenantry/tenantry/cluster/clustertest"
)

func at(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 7946)
}

func TestGoneAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoster(&Member{Name: "self", Self: true})
		const many = 1000
		for i := range many {
			name := fmt.Sprintf("n%04d", i)
			r.alive(name, at(i), &Meta{ID: newID()})
			if i >= 10 {
				r.gone(name)
			}
			time.Sleep(time.Second)
		}
		all := r.members()
		if len(all) != 1+10+maxGone {
			t.Fatalf("%d members", len(all))
		}
		if first := all[10].Name; first != fmt.Sprintf("n%04d", many-maxGone) {
			t.Errorf("the first that is kept is %s, want the latest", first)
		}
		time.Sleep(keepFor)
		if n := len(r.members()); n != 11 {
			t.Errorf("%d members a day later", n)
		}
	})
}

func TestReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoster(&Member{Name: "self", Self: true})
		meta, other := Meta{ID: newID()}, newID()
		life := meta.ID
		steps := []struct {
			what  string
			do    func()
			reach Reach
		}{
			{"unknown", func() { r.suspect("a"); r.answered("a", life); r.gone("a") }, 0},
			{"alive", func() { r.alive("a", at(1), &meta) }, Alive},
			{"suspected", func() { r.suspect("a") }, Suspect},
			{"still", func() { r.suspect("a") }, Suspect},
			{"another life objects", func() { r.objected("a", other) }, Suspect},
			{"it objects", func() { r.objected("a", life) }, Alive},
			{"another life answers", func() { r.answered("a", other) }, Suspect},
			{"it objects, but what runs there is the other", func() { r.objected("a", life) }, Suspect},
			{"it answers", func() { r.answered("a", life) }, Alive},
			{"another life answers", func() { r.answered("a", other) }, Suspect},
			{"again", func() { r.answered("a", other) }, Dead},
			{"again", func() { r.answered("a", other) }, Dead},
			{"it answers", func() { r.answered("a", life) }, Alive},
			{"a version that does not say answers", func() { r.answered("a", ID{}) }, Alive},
			{"given up", func() { r.gone("a") }, Dead},
			{"a late answer", func() { r.answered("a", life) }, Dead},
			{"back", func() { r.alive("a", at(1), &meta) }, Alive},
			{"leaving", func() { meta.State = Leaving; r.alive("a", at(1), &meta) }, Alive},
			{"left", func() { r.gone("a") }, Left},
		}
		since := time.Now()
		for i, step := range steps {
			time.Sleep(time.Second)
			before := r.members()[0]
			step.do()
			if i == 0 {
				continue
			}
			m := r.members()[0]
			if m.Reach != step.reach {
				t.Fatalf("step %d, %s: %v, want %v", i, step.what, m.Reach, step.reach)
			}
			if m.Reach != before.Reach || m.State != before.State || m.ID != before.ID {
				since = time.Now()
			}
			if i > 1 && !m.Since.Equal(since) {
				t.Errorf("step %d, %s: since %v, want %v", i, step.what, m.Since, since)
			}
		}
	})
}

func TestRefusalsAreBounded(t *testing.T) {
	m, err := newMetrics(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	log := new(logBuffer)
	r := newRefusals(m, slog.New(slog.NewTextHandler(log, nil)))
	for range 10 * maxPending {
		r.add(refusal{peer: "a", reason: reasonLabel})
	}
	if len(r.pending) != maxPending || testutil.ToFloat64(m.refused.WithLabelValues(reasonLabel)) != 10*maxPending {
		t.Errorf("%d pending", len(r.pending))
	}
	now := time.Now()
	for i := range 100_000 {
		r.report(refusal{peer: fmt.Sprint("peer", i), reason: reasonKey, detail: strings.Repeat("x", 10_000)}, now)
	}
	if n := strings.Count(log.String(), "peer refused"); n != maxRefusals || len(r.logged) != maxRefusals || len(log.String()) > maxRefusals*400 {
		t.Errorf("%d lines, %d bytes, %d remembered", n, len(log.String()), len(r.logged))
	}
	r.report(refusal{peer: "peer1", reason: reasonKey}, now.Add(refusalEvery-1))
	r.report(refusal{peer: "peer1", reason: reasonKey}, now.Add(refusalEvery))
	r.report(refusal{peer: "peer1", reason: reasonLabel}, now.Add(refusalEvery))
	if n := strings.Count(log.String(), "peer refused"); n != maxRefusals+2 {
		t.Errorf("%d lines after a while", n)
	}
}

func TestGossipLog(t *testing.T) {
	log := new(logBuffer)
	var told []string
	l := newGossipLog(slog.New(slog.NewTextHandler(log, nil)), func(name string) { told = append(told, "suspect "+name) },
		func(r refusal) { told = append(told, r.reason+" "+r.peer) })
	lines := slog.NewLogLogger(handler{l}, slog.LevelDebug)
	for _, line := range []string{
		"[INFO] memberlist: Suspect n1 has failed, no acks received",
		"[ERR] memberlist: discarding packet with unacceptable label \"x from=y\": from=10.0.0.1:99",
		"[ERR] memberlist: discarding stream with unacceptable label \"\": from=[::1]:7",
		"[ERR] memberlist: Decrypt packet failed: no installed keys could decrypt the message from=10.0.0.2:7946",
		"[WARN] memberlist: Got ping for unexpected node 'Suspect n9 has failed, no acks received' from=10.0.0.1:7946",
		"[WARN] memberlist: Got ping for unexpected node '\n[INFO] memberlist: Suspect n9 has failed, no acks received",
		"[DEBUG] memberlist: anything",
		"[ERR] memberlist: something new",
		"no level at all",
	} {
		lines.Print(line)
	}
	if diff := cmp.Diff([]string{"suspect n1", "label 10.0.0.1", "label ::1", "key 10.0.0.2"}, told); diff != "" {
		t.Error(diff)
	}
	if text := log.String(); strings.Count(text, "\n") != 2 || strings.Count(text, "level=WARN msg=gossip") != 2 ||
		!strings.Contains(text, "something new") || !strings.Contains(text, "no level at all") {
		t.Errorf("log:\n%s", text)
	}
	for range 1000 {
		lines.Print("[ERR] memberlist: something new")
	}
	if n := strings.Count(log.String(), "\n"); n > 12 {
		t.Errorf("%d lines", n)
	}
	l.closed.Store(true)
	lines.Print("[INFO] memberlist: Suspect n2 has failed, no acks received")
	if len(told) != 4 {
		t.Error("told after the end")
	}
}

// A transport that is shut down ends every stream and every dial.
func TestTransportShutdown(t *testing.T) {
	bubble(t, func(t *testing.T, network *clustertest.Network) {
		m, _ := newMetrics(nil, nil)
		b := network.NewTransport(address(2))
		a := newTransport(network.NewTransport(address(1)), at(1), m.dropped)
		close(a.ready)
		go a.pump()
		out, err := a.DialTimeout(address(2), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		dialed, err := b.DialTimeout(address(1), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		in := <-a.StreamCh()
		network.Cut(addresses(1, 1), addresses(3, 3))
		network.NewTransport(address(3))
		ended := make(chan error, 3)
		for _, conn := range []io.Reader{out, in, dialed} {
			go func() { _, err := conn.Read(make([]byte, 1)); ended <- err }()
		}
		go func() { _, err := a.DialTimeout(address(3), time.Hour); ended <- err }()
		synctest.Wait()
		began := time.Now()
		if err := a.Shutdown(); err != nil {
			t.Error(err)
		}
		for range 4 {
			if err := <-ended; err == nil {
				t.Error("a stream or dial without an error")
			}
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("took %v", took)
		}
		if _, err := a.DialTimeout(address(2), time.Second); err == nil {
			t.Error("dialed after the end")
		}
		if len(a.open) != 0 || a.inbound != 0 {
			t.Errorf("%d still open", len(a.open))
		}
	})
}

func TestMetrics(t *testing.T) {
	bubble(t, func(t *testing.T, net *clustertest.Network) {
		nodes := form(t, net, 5, Config{})
		nodes[0].SetState(Ready)
		nodes[1].SetState(Leaving)
		nodes[2].stop()
		<-nodes[2].ended
		nodes[3].wire.Crash()
		time.Sleep(10 * time.Second)
		want := `# HELP tenantry_members Members by state, as this node sees them.
# TYPE tenantry_members gauge
tenantry_members{state="dead"} 1
tenantry_members{state="draining"} 1
tenantry_members{state="joining"} 1
tenantry_members{state="left"} 1
tenantry_members{state="ready"} 1
tenantry_members{state="suspect"} 0
`
		if err := testutil.GatherAndCompare(nodes[0].reg, strings.NewReader(want), "tenantry_members"); err != nil {
			t.Error(err)
		}
		if n := testutil.ToFloat64(nodes[1].metrics.joins.WithLabelValues(joinReached)); n < 1 {
			t.Errorf("%v joins reached", n)
		}
		if n := testutil.ToFloat64(nodes[0].metrics.joins.WithLabelValues(joinUnreachable)); n < 1 {
			t.Errorf("%v joins unreachable", n)
		}
		if lint, err := testutil.GatherAndLint(nodes[0].reg); err != nil || len(lint) > 0 {
			t.Errorf("%v, %v", lint, err)
		}
	})
	reg := prometheus.NewRegistry()
	for i := range 2 {
		_, err := New(Config{Name: "a", Address: "a:1", Registerer: reg})
		if already := (prometheus.AlreadyRegisteredError{}); (i == 1) != errors.As(err, &already) {
			t.Errorf("time %d: error %v", i, err)
		}
	}
}
