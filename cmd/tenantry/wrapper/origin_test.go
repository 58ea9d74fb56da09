package wrapper_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"testing"

	"go.uber.org/goleak"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/cache/origin"
	"github.com/tenantry/tenantry/cmd/tenantry/wrapper"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type byName struct{}

func (byName) Map(doc []byte) (key string, value []byte, version uint64, versioned bool, err error) {
	var d struct {
		Name    string
		Value   json.RawMessage
		Version uint64
	}
	err = json.Unmarshal(doc, &d)
	return d.Name, d.Value, d.Version, true, err
}

// What Tenantry's own reader makes of the sample.
func TestReader(t *testing.T) {
	server := httptest.NewServer(wrapper.New(wrapper.Config{Items: 1200}))
	defer server.Close()
	const path = "/api/tenants/{tenant}/configs"
	r, err := origin.New(origin.Config{URL: server.URL}, []origin.Kind{{Name: "config", One: path + "/{key}", List: path, Document: byName{}}},
		slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	kind := &cache.Kind{Name: "config"}
	doc, err := r.One(t.Context(), "123", kind, "locale", "")
	if err != nil || string(doc.Value) != `"en-GB"` || doc.Version != 1 || doc.ETag == "" {
		t.Errorf("%+v, %v", doc, err)
	}
	if _, err = r.One(t.Context(), "123", kind, "locale", doc.ETag); !errors.Is(err, cache.ErrNotModified) {
		t.Error(err)
	}
	for _, key := range []string{"none", "../roles/admin", "locale/", "%2e%2e", "locale?x", "locale#x", "locale;x"} {
		if _, err = r.One(t.Context(), "123", kind, key, ""); !errors.Is(err, cache.ErrAbsent) {
			t.Errorf("%s: %v", key, err)
		}
	}
	n := 0
	count := func(docs []cache.Document) error { n += len(docs); return nil }
	if _, err := r.List(t.Context(), "123", kind, "", count); err != nil || n != 1200 {
		t.Errorf("%d documents, %v", n, err)
	}
	if _, err := r.List(t.Context(), "nobody", kind, "", count); !errors.Is(err, cache.ErrAbsent) {
		t.Error(err)
	}
}
