package wrapper_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantry/tenantry/cmd/tenantry/wrapper"
)

func TestUnannounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bus{fail: true}
		w := wrapper.New(wrapper.Config{Publisher: b})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan error)
		go func() { ended <- w.Run(ctx) }()
		for i := range 1024 {
			got := call(w, "PUT", tenant123+"configs/locale", `{"value":1}`)
			if got.Code != 502 || !strings.Contains(got.Body.String(), fmt.Sprintf(`"version":%d`, i+2)) {
				t.Fatalf("%d %s", got.Code, got.Body)
			}
		}
		expect(t, call(w, "PUT", tenant123+"configs/locale", `{"value":2}`), 503, "")
		expect(t, call(w, "GET", tenant123+"configs/locale", ""), 200, `{"name":"locale","value":1,"version":1025}`)
		time.Sleep(time.Minute)
		b.mu.Lock()
		b.fail = false
		b.mu.Unlock()
		time.Sleep(10 * time.Second)
		if n := len(b.events()); n != 1024 {
			t.Errorf("%d events", n)
		}
		expect(t, call(w, "PUT", tenant123+"configs/locale", `{"value":2}`), 200, "")
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestGivesUpAfterAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bus{fail: true}
		w := wrapper.New(wrapper.Config{Publisher: b})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = w.Run(ctx) }()
		expect(t, call(w, "PUT", tenant123+"configs/locale", `{"value":1}`), 502, "")
		time.Sleep(2 * time.Hour)
		if stats := call(w, "GET", "/stats", "").Body.String(); !strings.Contains(stats, `"unannounced":0`) {
			t.Error(stats)
		}
	})
}
