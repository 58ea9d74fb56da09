package rpc

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
)

// flushes counts.
type flushes struct {
	*httptest.ResponseRecorder
	n int
}

func (f *flushes) Flush() { f.n++ }

// The parts of an export are sent together, and not for ever held back; other streams are
// sent as they come.
func TestGather(t *testing.T) {
	for _, test := range []struct {
		path    string
		size, n int
		want    int
	}{
		{tenantryv1connect.PeerServiceExportProcedure, 100, 10, 0},
		{tenantryv1connect.PeerServiceExportProcedure, gatherBytes, 10, 10},
		{tenantryv1connect.PeerServiceExportProcedure, gatherBytes / 4, 40, 10},
		{tenantryv1connect.PeerServiceTenantsProcedure, 100, 10, 10},
	} {
		w := &flushes{ResponseRecorder: httptest.NewRecorder()}
		gather(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for range test.n {
				if n, err := w.Write(make([]byte, test.size)); n != test.size || err != nil {
					t.Error(n, err)
				}
				w.(http.Flusher).Flush()
			}
		})).ServeHTTP(w, httptest.NewRequest(http.MethodPost, test.path, http.NoBody))
		if w.n != test.want || w.Body.Len() != test.n*test.size {
			t.Errorf("%s, %d times %d: %d flushes of %d bytes, want %d", test.path, test.n, test.size, w.n, w.Body.Len(), test.want)
		}
	}
}
