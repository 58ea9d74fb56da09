package subscriber

import (
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// A tenant's channels are told only while all of them are confirmed.
func TestChannels(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, b *fakeBus, s *Subscriber, _ *recorder) {
		told := func(want []string) {
			t.Helper()
			synctest.Wait()
			if diff := cmp.Diff(want, s.Channels("a")); diff != "" {
				t.Error(diff)
			}
		}
		var all []string
		for _, topic := range s.topics {
			all = append(all, "crm:a:"+topic)
		}
		told(nil)
		b.set(func() { b.holdReply = true })
		s.Follow("a")
		told(nil)
		b.set(func() { b.holdReply = false })
		s.Unfollow("a")
		s.Follow("b")
		told(nil)
		s.Follow("a")
		told(all)
		cutOff(b)
		told(nil)
		s.Unfollow("a")
		told(nil)
	})
}
