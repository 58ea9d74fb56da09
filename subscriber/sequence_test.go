package subscriber

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// numbered is an event of source s; text tells apart what has the same number.
func numbered(source string, n uint64, text string) string {
	return fmt.Sprintf(`{"source":%q,"sequence":%d,"data":{"key":%q}}`, source, n, text)
}

// A script says what is published at once ("3" and so on, "3'" another event
// with that number), and when time passes ("100ms"); doubts is how many the
// tenant has after it, a second later.
func TestSequences(t *testing.T) {
	for name, test := range map[string]struct {
		script string
		doubts int
	}{
		"in order":                         {"7 8 9 10", 0},
		"the first is the start":           {"1000000", 0},
		"swapped":                          {"1 3 2 4", 0},
		"late, in time":                    {"1 3 199ms 2 4", 0},
		"lost":                             {"1 3 4 5", 1},
		"lost, and late":                   {"1 3 201ms 2 4", 1},
		"two lost at once":                 {"1 4 5", 1},
		"two lost, one after the other":    {"1 3 300ms 4 6", 2},
		"one of two late":                  {"1 4 100ms 3", 1},
		"all late":                         {"1 4 3 100ms 2", 0},
		"always one behind":                {"1 3 2 150ms 5 4 150ms 7 6 150ms 9 8", 0},
		"repeated":                         {"1 2 2 3 3 1 2 3 4", 0},
		"a batch repeated":                 {"1 2 3 4 5 1s 2 3 4 5 6", 0},
		"fall to a number of another":      {"1 2 3 1'", 1},
		"fall, then on from there":         {"1 2 3 1' 2' 3' 4'", 1},
		"fall below the start":             {"100 101 102 50 51 52", 1},
		"fall far":                         {"1000 1 2 3", 1},
		"jump far is not waited for":       {"1 1000 1001", 1},
		"a jump of the window":             {"1 65 66", 1},
		"a jump beyond the window":         {"1 66 67", 1},
		"the largest numbers":              {"18446744073709551613 18446744073709551615 18446744073709551614", 0},
		"lost before the largest":          {"18446744073709551613 18446744073709551615", 1},
		"around the end":                   {"18446744073709551614 18446744073709551615 0 1", 1},
		"from nothing to the largest":      {"0 18446744073709551615", 1},
		"the smallest":                     {"0 1 2 0 2", 0},
		"the same text, every time":        {"5 5 5 5", 0},
		"the same number, never the event": {"5 5' 5'' 5'''", 3},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Config{}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
				s.Follow("a")
				synctest.Wait()
				events := play(b, test.script)
				time.Sleep(time.Second)
				synctest.Wait()
				lines := r.take()
				if got := countPrefix(lines, "gap a roles"); got != test.doubts {
					t.Errorf("%d doubts, want %d: %q", got, test.doubts, lines)
				}
				if len(s.conns[0].current.Load().sequences.waits) != 0 {
					t.Error("still waiting")
				}
				if got := countPrefix(lines, "event"); got != events {
					t.Errorf("%d events told, want all %d", got, events)
				}
			})
		})
	}
}

func countPrefix(lines []string, prefix string) (n int) {
	for _, l := range lines {
		if strings.HasPrefix(l, prefix) {
			n++
		}
	}
	return n
}

func play(b *fakeBus, script string) (events int) {
	for word := range strings.FieldsSeq(script) {
		if d, err := time.ParseDuration(word); err == nil && word != "0" {
			synctest.Wait()
			time.Sleep(d)
			continue
		}
		events++
		n := strings.TrimRight(word, "'")
		send(b, "crm:a:roles", fmt.Sprintf(`{"source":"s","sequence":%s,"data":{"key":"%s"}}`, n, word))
	}
	return events
}

// Some have a number and some have not, and each source, topic and tenant has its own.
func TestSequencesAreApart(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
		s.Follow("a", "b")
		synctest.Wait()
		for n := range uint64(5) {
			send(b, "crm:a:roles", numbered("s", n, "k"))
			send(b, "crm:a:roles", numbered("t", 3*math.MaxUint64/4+n, "k"))
			send(b, "crm:a:users", numbered("s", 100+n, "k"))
			send(b, "crm:b:roles", numbered("s", 1<<40+n, "k"))
			send(b, "crm:a:roles", `{"data":{"key":"k"}}`)
			send(b, "crm:a:roles", fmt.Sprintf(`{"sequence":%d,"data":{"key":"no source"}}`, 1000-7*n))
			send(b, "crm:a:roles", `{"source":"s","data":{"key":"no sequence"}}`)
		}
		time.Sleep(time.Second)
		if lines := r.take(); slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "gap") }) {
			t.Errorf("told %q", lines)
		}
	})
}

// The doubt comes 200 ms after the jump, to the tenant alone, and after the event.
func TestSequenceGapIsDoubtedInTime(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
		s.Follow("a")
		time.Sleep(1100 * time.Millisecond)
		r.take()
		send(b, "crm:a:roles", numbered("s", 1, "x"))
		send(b, "crm:a:roles", numbered("s", 3, "y"))
		time.Sleep(100 * time.Millisecond)
		send(b, "crm:a:users", numbered("s", 1, "z"))
		send(b, "crm:a:users", numbered("s", 3, "z"))
		time.Sleep(99 * time.Millisecond)
		want(t, r, "event a roles x", "event a roles y", "event a users z", "event a users z")
		time.Sleep(time.Millisecond)
		want(t, r, "gap a roles")
		time.Sleep(100 * time.Millisecond)
		want(t, r, "gap a users")
		send(b, "crm:a:roles", numbered("s", 1, "another"))
		want(t, r, "event a roles another", "gap a roles")
	})
}

// What was doubted for is not doubted again: after a lost connection, a full
// queue, a refused event, and a new confirmation a sequence starts anew.
func TestSequenceAcrossADoubt(t *testing.T) {
	gaps := func(t *testing.T, r *recorder) {
		t.Helper()
		time.Sleep(3 * time.Second)
		if got := r.count("gap a roles"); got != 0 {
			t.Errorf("%d gaps: %q", got, r.take())
		}
	}
	for name, doubt := range map[string]func(b *fakeBus, s *Subscriber){
		"connection": func(b *fakeBus, _ *Subscriber) {
			b.each(func(l *fakeLink) { _ = l.Close() })
			time.Sleep(3 * time.Second)
		},
		"refused": func(b *fakeBus, _ *Subscriber) { send(b, "crm:a:roles", `{`) },
		"followed anew": func(_ *fakeBus, s *Subscriber) {
			s.Unfollow("a")
			synctest.Wait()
			s.Follow("a")
			synctest.Wait()
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Config{}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
				s.Follow("a")
				synctest.Wait()
				send(b, "crm:a:roles", numbered("s", 1, "x"))
				send(b, "crm:a:roles", numbered("s", 3, "x")) // waited for when the doubt comes
				synctest.Wait()
				doubt(b, s)
				send(b, "crm:a:roles", numbered("s", 7, "x"))
				send(b, "crm:a:roles", numbered("s", 8, "x"))
				gaps(t, r)
			})
		})
	}
}

func TestSequencesAreFreed(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
		s.Follow("a", "b")
		synctest.Wait()
		q := &s.conns[0].current.Load().sequences
		send(b, "crm:b:roles", seedMessage) // no number: no memory
		synctest.Wait()
		if len(q.streams) != 0 {
			t.Errorf("%d channels watched for events without numbers", len(q.streams))
		}
		for i := range 1000 {
			send(b, "crm:a:roles", numbered(fmt.Sprintf("source-%d", i), 1, "x"))
			send(b, "crm:a:users", numbered(fmt.Sprintf("source-%d", i), math.MaxUint64, "x"))
		}
		synctest.Wait()
		if got := len(q.streams[place{"a", "roles"}]); got != maxSources || len(q.streams) != 2 {
			t.Errorf("%d sources, %d channels, want %d and 2", got, len(q.streams), maxSources)
		}
		s.Unfollow("a")
		synctest.Wait()
		if len(q.streams) != 0 {
			t.Errorf("%d channels are left", len(q.streams))
		}
		if r.count("gap a roles") != 0 {
			t.Error("doubt for sources that came and went")
		}
	})
}

// The source in use is not the one that is forgotten, and channels are bounded too.
func TestSequencesAreBounded(t *testing.T) {
	var q sequences
	take := func(tenant, source string, n uint64) bool {
		e := &Event{Tenant: tenant, Topic: "roles", Source: source, Sequence: n, Sequenced: true, Raw: fmt.Append(nil, source, n)}
		return q.take(e, time.Now)
	}
	for i := range uint64(100) {
		if !take("a", "steady", i) || !take("a", fmt.Sprint("other ", i), 5) {
			t.Fatal("doubt")
		}
	}
	if take("a", "steady", 1000) {
		t.Error("the steady source was forgotten")
	}
	for i := range maxStreams + 10 {
		take(fmt.Sprint("tenant-", i), "s", 1)
	}
	sum := 0
	for _, streams := range q.streams {
		sum += len(streams)
	}
	if sum != q.count || sum > maxStreams || sum < maxStreams-maxSources {
		t.Errorf("%d sources, counted %d, want at most %d", sum, q.count, maxStreams)
	}
}

// Whatever order and repetition within the window: nothing lost, no doubt;
// and whatever is lost in the middle is doubted.
func TestSequenceProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(3, 300).Draw(t, "n")
		start := min(rapid.Uint64().Draw(t, "start"), math.MaxUint64-n)
		lost := rapid.Uint64Range(0, n-2).Draw(t, "lost") // 0: none; the first and the last cannot show
		var waits sequences
		take := func(k uint64) bool {
			e := &Event{Source: "s", Sequenced: true, Sequence: start + k, Raw: fmt.Append(nil, k)}
			return waits.take(e, func() time.Time { return time.Time{} })
		}
		doubts := 0
		for _, k := range disorder(t, n) {
			if (k == 0 || k != lost) && !take(k) {
				doubts++
			}
		}
		for _, ok := waits.overdue(time.Time{}.Add(reorderTime)); ok; _, ok = waits.overdue(time.Time{}.Add(reorderTime)) {
			doubts++
		}
		if lost > 0 != (doubts > 0) {
			t.Fatalf("lost %d of %d: %d doubts", lost, n, doubts)
		}
	})
}

// disorder returns the numbers from 0 to n-1, some of them swapped, some again.
func disorder(t *rapid.T, n uint64) (all []uint64) {
	for k := range n {
		all = append(all, k)
		if k > 1 && rapid.IntRange(0, 4).Draw(t, "swap") == 0 {
			last := len(all) - 1
			all[last-1], all[last] = all[last], all[last-1]
		}
		if rapid.IntRange(0, 4).Draw(t, "repeat") == 0 {
			all = append(all, k-min(k, rapid.Uint64Range(0, window-10).Draw(t, "back")))
		}
	}
	return all
}

func BenchmarkSequence(b *testing.B) {
	var q sequences
	e := &Event{Tenant: "123", Topic: "roles", Source: "wrapper-1", Sequenced: true, Raw: []byte(seedMessage)}
	b.ReportAllocs()
	for b.Loop() {
		e.Sequence++
		if !q.take(e, time.Now) {
			b.Fatal("doubt")
		}
	}
}

// Messages that a full queue dropped are doubted for once, not again as a jump.
func TestSequenceAcrossAnOverflow(t *testing.T) {
	bubble(t, Config{QueueEvents: 2}, func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder) {
		s.Follow("a")
		synctest.Wait()
		r.take()
		release := make(chan struct{})
		r.onEvent = func(*Event) { <-release }
		send(b, "crm:a:roles", numbered("s", 1, "1"))
		synctest.Wait() // being handled, and still counts
		for n := range uint64(3) {
			send(b, "crm:a:roles", numbered("s", 2+n, fmt.Sprint(2+n)))
		}
		synctest.Wait()
		close(release)
		synctest.Wait()
		send(b, "crm:a:roles", numbered("s", 5, "5"))
		time.Sleep(500 * time.Millisecond)
		want(t, r, "event a roles 1", "event a roles 2", "doubt overflow", "event a roles 5")
	})
}
