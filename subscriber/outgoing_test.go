package subscriber

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fakeServer acknowledges batches as its script says.
type fakeServer struct {
	// fail returns the error that answers an event at an attempt, from 0.
	fail     func(attempt int, message string) error
	takes    time.Duration
	attempts int
	batches  [][]string
	arrived  []string // also what was not acknowledged
}

func (f *fakeServer) exec(_ context.Context, batch []*outgoing) {
	time.Sleep(f.takes)
	var messages []string
	cut := error(nil)
	for _, o := range batch {
		message := string(o.message)
		messages = append(messages, message)
		o.err = cut
		if f.fail != nil && cut == nil {
			o.err = f.fail(f.attempts, message)
			if errors.Is(o.err, io.EOF) {
				cut = o.err
			}
		}
		o.receivers = 7
	}
	f.attempts++
	f.batches = append(f.batches, messages)
	f.arrived = append(f.arrived, messages...)
}

// withPublisher runs f with a publisher on a fake server. Time is the bubble's.
func withPublisher(t *testing.T, f func(t *testing.T, p *Publisher, s *fakeServer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p, err := NewPublisher(Config{Source: "wrapper"})
		if err != nil {
			t.Fatal(err)
		}
		s := &fakeServer{}
		p.exec = s.exec
		f(t, p, s)
		synctest.Wait()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if len(p.slots) != 0 || len(p.queue) != 0 {
			t.Errorf("%d slots taken and %d events queued after Close", len(p.slots), len(p.queue))
		}
	})
}

// at once publishes messages in their order, from a goroutine each, and returns
// the order in which their calls ended, with errors.
func atOnce(ctx context.Context, p *Publisher, messages ...string) (ended []string) {
	done := make(chan string, len(messages))
	for _, m := range messages {
		go func() {
			_, err := p.Publish(ctx, "a", "roles", []byte(m))
			if err != nil {
				m += ": " + err.Error()
			}
			done <- m
		}()
		synctest.Wait()
	}
	for range messages {
		ended = append(ended, <-done)
	}
	return ended
}

func TestCallsShareRoundTrips(t *testing.T) {
	withPublisher(t, func(t *testing.T, p *Publisher, s *fakeServer) {
		s.takes = time.Millisecond
		var messages []string
		for i := range 200 {
			messages = append(messages, fmt.Sprint(i))
		}
		atOnce(t.Context(), p, messages...)
		var sizes []int
		for _, b := range s.batches {
			sizes = append(sizes, len(b))
		}
		if diff := cmp.Diff([]int{1, 64, 64, 64, 7}, sizes); diff != "" {
			t.Errorf("batches (-want +got):\n%s", diff)
		}
		if !slices.Equal(messages, s.arrived) {
			t.Errorf("arrived out of order: %q", s.arrived)
		}
	})
}

func TestBatchesAreBoundedInBytes(t *testing.T) {
	withPublisher(t, func(t *testing.T, p *Publisher, s *fakeServer) {
		s.takes = time.Millisecond
		large := strings.Repeat("x", maxBatchBytes)
		atOnce(t.Context(), p, "first", large, "small", large[2:], "xx", "y")
		var sizes []int
		for _, b := range s.batches {
			sizes = append(sizes, len(b))
		}
		if diff := cmp.Diff([]int{1, 1, 1, 2, 1}, sizes); diff != "" {
			t.Errorf("batches (-want +got):\n%s", diff)
		}
	})
}

// A failure in the middle: what comes after it is sent again, in order.
func TestRetryKeepsTheOrder(t *testing.T) {
	for name, failure := range map[string]error{"cut": io.EOF, "busy": errors.New("BUSY a script runs")} {
		t.Run(name, func(t *testing.T) {
			withPublisher(t, func(t *testing.T, p *Publisher, s *fakeServer) {
				s.takes = time.Millisecond
				s.fail = func(attempt int, message string) error {
					if message == "3" && attempt < 5 {
						return failure
					}
					return nil
				}
				began := time.Now()
				ended := atOnce(t.Context(), p, "1", "2", "3", "4", "5")
				if diff := cmp.Diff([]string{"1", "2"}, ended[:2]); diff != "" {
					t.Errorf("ended (-want +got):\n%s", diff)
				}
				want := []string{"1", "2", "3", "4", "5", "3", "4", "5", "3", "4", "5", "3", "4", "5", "3", "4", "5"}
				if diff := cmp.Diff(want, s.arrived); diff != "" {
					t.Errorf("arrived (-want +got):\n%s", diff)
				}
				// 50, 100, 200 and 400 ms, of each between half and all.
				if took := time.Since(began); took < 375*time.Millisecond || took > 800*time.Millisecond {
					t.Errorf("acknowledged after %v", took)
				}
			})
		})
	}
}

func TestAnOutageIsOutlasted(t *testing.T) {
	withPublisher(t, func(t *testing.T, p *Publisher, s *fakeServer) {
		down := time.Now().Add(time.Hour)
		s.fail = func(int, string) error {
			if time.Now().Before(down) {
				return io.EOF
			}
			return nil
		}
		ended := atOnce(t.Context(), p, "1", "2")
		if len(ended[0])+len(ended[1]) != 2 || time.Since(down) > maxBackoff {
			t.Errorf("ended %q, %v after the outage", ended, time.Since(down))
		}
		if s.attempts > 3600 {
			t.Errorf("%d attempts in an hour", s.attempts)
		}
	})
}

// What can never succeed ends alone, at once.
func TestForbidden(t *testing.T) {
	withPublisher(t, func(t *testing.T, p *Publisher, s *fakeServer) {
		s.takes = time.Millisecond
		s.fail = func(_ int, message string) error {
			if message == "2" {
				return nopermError{}
			}
			return nil
		}
		ended := atOnce(t.Context(), p, "1", "2", "3")
		slices.Sort(ended)
		if diff := cmp.Diff([]string{"1", "2: publish on crm:a:roles: NOPERM this user has no permissions", "3"}, ended); diff != "" {
			t.Errorf("ended (-want +got):\n%s", diff)
		}
		if s.attempts != 2 {
			t.Errorf("%d attempts, want 2", s.attempts)
		}
		for channel, want := range map[string]error{"a:b": ErrChannel, "": ErrChannel, "..": ErrChannel} {
			if _, err := p.Publish(t.Context(), channel, "roles", nil); !errors.Is(err, want) {
				t.Errorf("%q: %v", channel, err)
			}
			if _, err := p.Announce(t.Context(), "a", channel, Announcement{}); !errors.Is(err, want) {
				t.Errorf("%q: %v", channel, err)
			}
		}
		if _, err := p.Publish(t.Context(), "a", "roles", make([]byte, 1<<20+1)); !errors.Is(err, ErrOversized) {
			t.Errorf("1 MiB + 1: %v", err)
		}
		if s.attempts != 2 {
			t.Error("something was sent")
		}
	})
}

// A call ends with its context; the others go on, and nothing is left of it.
func TestGivenUp(t *testing.T) {
	withPublisher(t, func(t *testing.T, p *Publisher, s *fakeServer) {
		s.takes = 300 * time.Millisecond
		s.fail = func(attempt int, _ string) error {
			if attempt < 3 {
				return io.EOF
			}
			return nil
		}
		patient := make(chan error, 1)
		go func() { _, err := p.Publish(t.Context(), "a", "roles", []byte("patient")); patient <- err }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := p.Publish(ctx, "a", "roles", []byte("hasty"))
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, io.EOF) || time.Since(began) != time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		if err := <-patient; err != nil {
			t.Error(err)
		}
		if last := s.batches[len(s.batches)-1]; !slices.Equal(last, []string{"patient"}) {
			t.Errorf("sent last: %q", last)
		}
		cancel()
		if _, err := p.Publish(ctx, "a", "roles", []byte("never")); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with an ended context: %v", err)
		}
	})
}

func TestFullQueueWaits(t *testing.T) {
	withPublisher(t, func(t *testing.T, p *Publisher, s *fakeServer) {
		s.fail = func(int, string) error { return io.EOF }
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, maxOutgoing+1)
		for range maxOutgoing {
			go func() { _, err := p.Publish(ctx, "a", "roles", nil); ended <- err }()
		}
		synctest.Wait()
		hasty, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if _, err := p.Publish(hasty, "a", "roles", nil); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "4096 events") {
			t.Error(err)
		}
		go func() { _, err := p.Publish(t.Context(), "a", "roles", nil); ended <- err }()
		synctest.Wait()
		s.fail = nil
		cancel()
		for range maxOutgoing {
			<-ended
		}
		if err := <-ended; err != nil {
			t.Errorf("the one that waited for room: %v", err)
		}
	})
}

func TestCloseEndsCalls(t *testing.T) {
	withPublisher(t, func(t *testing.T, p *Publisher, s *fakeServer) {
		s.fail = func(int, string) error { return io.EOF }
		ended := make(chan error, 3)
		for range 3 {
			go func() { _, err := p.Publish(t.Context(), "a", "roles", nil); ended <- err }()
		}
		time.Sleep(time.Minute)
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		for range 3 {
			if err := <-ended; !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
		}
		if _, err := p.Publish(t.Context(), "a", "roles", nil); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
}
