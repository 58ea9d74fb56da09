package wrapper

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// pageItems is how many items a page of a list has at most.
	pageItems = 500
	// maxBody bounds the body of a PUT, in bytes: an event carries it.
	maxBody = 64 << 10
)

// one answers with an item.
func (w *Wrapper) one(f *family) http.HandlerFunc {
	return func(rw http.ResponseWriter, req *http.Request) {
		at, key, ok := w.place(rw, req, f)
		if !ok {
			return
		}
		r, ok := w.store.get(at, key)
		wait(req.Context(), w.cfg.Latency)
		if !ok {
			refuse(rw, http.StatusNotFound, fmt.Sprintf("tenant %s has no such item", at.tenant))
			return
		}
		serve(rw, req, encode(f.render(key, r)))
	}
}

// list answers with a page of items in the order of their keys. Changes between
// two pages show: a list of several is not a snapshot.
func (w *Wrapper) list(f *family) http.HandlerFunc {
	return func(rw http.ResponseWriter, req *http.Request) {
		at, _, ok := w.place(rw, req, f)
		if !ok {
			return
		}
		page, err := strconv.ParseUint(req.URL.Query().Get("page"), 10, 31)
		if given := req.URL.Query().Has("page"); given && (err != nil || page == 0) {
			refuse(rw, http.StatusBadRequest, "page: must be a number from 1")
			return
		}
		body, more := w.page(f, at, max(int(page), 1))
		wait(req.Context(), w.cfg.Latency)
		if more {
			rw.Header().Set("Link", fmt.Sprintf(`<%s?page=%d>; rel="next"`, req.URL.EscapedPath(), max(page, 1)+1))
		}
		serve(rw, req, body)
	}
}

func (w *Wrapper) page(f *family, at place, page int) (body []byte, more bool) {
	keys := w.store.keys(at)
	first := min((page-1)*pageItems, len(keys))
	last := min(first+pageItems, len(keys))
	documents := []any{}
	for _, key := range keys[first:last] {
		if r, ok := w.store.get(at, key); ok {
			documents = append(documents, f.render(key, r))
		}
	}
	return encode(documents), last < len(keys)
}

// log answers for the paths that only pass through.
func (w *Wrapper) log(name string) http.HandlerFunc {
	return func(rw http.ResponseWriter, req *http.Request) {
		tenant, ok := w.tenant(rw, req)
		if !ok {
			return
		}
		wait(req.Context(), w.cfg.Latency)
		serve(rw, req, encode(map[string]any{"tenant": tenant, "log": name, "path": req.PathValue("path"), "query": req.URL.RawQuery,
			"entries": []map[string]any{{"at": "2025-01-01T09:00:00Z", "user": "user-1", "what": "crm.leads.create"},
				{"at": "2025-01-01T09:05:00Z", "user": "user-2", "what": "crm.leads.update"}}}))
	}
}

// put changes an item, or makes a new one.
func (w *Wrapper) put(f *family) http.HandlerFunc {
	return func(rw http.ResponseWriter, req *http.Request) {
		at, key, ok := w.place(rw, req, f)
		if !ok {
			return
		}
		body, status, err := readObject(rw, req)
		if err != nil {
			refuse(rw, status, err.Error())
			return
		}
		sets, err := f.edit(key, body)
		if err != nil {
			refuse(rw, http.StatusBadRequest, err.Error())
			return
		}
		w.change(rw, req, f, at, key, func(fields map[string]json.RawMessage) (map[string]json.RawMessage, error) {
			maps.Copy(fields, sets)
			if name := f.missing(fields); name != "" {
				return nil, fmt.Errorf("%s: is missing", name)
			}
			return fields, nil
		})
	}
}

// remove removes an item.
func (w *Wrapper) remove(f *family) http.HandlerFunc {
	return func(rw http.ResponseWriter, req *http.Request) {
		if at, key, ok := w.place(rw, req, f); ok {
			w.change(rw, req, f, at, key, nil)
		}
	}
}

// change commits, announces and answers with the document.
func (w *Wrapper) change(rw http.ResponseWriter, req *http.Request, f *family, at place, key string, edit editing) {
	if err := w.bus.reserve(); err != nil {
		refuse(rw, http.StatusServiceUnavailable, err.Error())
		return
	}
	old, now, err := w.store.change(at, key, edit)
	if err != nil {
		w.bus.release()
		refuse(rw, changeStatus(err), err.Error())
		return
	}
	// The change is committed: whether the caller still waits or not, it is to
	// be announced.
	payload := w.event(f, at.tenant, now, f.data(key, old, now))
	err = w.bus.announce(context.WithoutCancel(req.Context()), announcement{at.tenant, f.topic, payload, time.Now()})
	switch {
	case err != nil:
		write(rw, http.StatusBadGateway, encode(map[string]any{"version": now.version,
			"error": "the change was committed but not announced; it will be as soon as the bus acknowledges it"}))
	case now.gone:
		write(rw, http.StatusOK, encode(map[string]any{"deleted": key, "version": now.version}))
	default:
		status := http.StatusOK
		if old.version == 0 || old.gone {
			status = http.StatusCreated
		}
		write(rw, status, encode(f.render(key, now)))
	}
}

func changeStatus(err error) int {
	switch {
	case errors.Is(err, errAbsent):
		return http.StatusNotFound
	case errors.Is(err, errFull):
		return http.StatusInsufficientStorage
	}
	return http.StatusBadRequest
}

// event makes the message for the bus.
func (w *Wrapper) event(f *family, tenant string, now record, data any) []byte {
	kind := f.event + "-changed"
	if now.gone {
		kind = f.event + "-deleted"
	}
	return encode(struct {
		EventID    string    `json:"eventId"`
		EventType  string    `json:"eventType"`
		TenantID   string    `json:"tenantId"`
		Version    uint64    `json:"version"`
		OccurredAt time.Time `json:"occurredAt"`
		Data       any       `json:"data"`
	}{fmt.Sprintf("change-%s-%d", w.started, w.events.Add(1)), kind, tenant, now.version, time.Now().UTC(), data})
}

// tenant answers for tenants that there are not, and for a caller that says it
// asks for another one.
func (w *Wrapper) tenant(rw http.ResponseWriter, req *http.Request) (string, bool) {
	tenant := req.PathValue("tenant")
	if said := req.Header.Get("X-Tenant-Id"); said != "" && said != tenant {
		refuse(rw, http.StatusForbidden, "X-Tenant-Id: is not the tenant of the path")
		return "", false
	}
	if !w.known(tenant) {
		wait(req.Context(), w.cfg.Latency)
		refuse(rw, http.StatusNotFound, "no such tenant")
		return "", false
	}
	return tenant, true
}

func (w *Wrapper) place(rw http.ResponseWriter, req *http.Request, f *family) (at place, key string, ok bool) {
	tenant, ok := w.tenant(rw, req)
	key = req.PathValue("key")
	if ok && (len(key) > 512 || !utf8.ValidString(key) || strings.ContainsFunc(key, unicode.IsControl)) {
		refuse(rw, http.StatusBadRequest, "key: must be 1 to 512 bytes of UTF-8 without control characters")
		ok = false
	}
	return place{tenant, f.table}, key, ok
}

// readObject reads the body of a PUT.
func readObject(rw http.ResponseWriter, req *http.Request) (object map[string]json.RawMessage, status int, err error) {
	body, err := io.ReadAll(http.MaxBytesReader(rw, req.Body, maxBody))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return nil, http.StatusRequestEntityTooLarge, fmt.Errorf("body: more than %d bytes", maxBody)
	}
	if err == nil && !utf8.Valid(body) {
		err = errors.New("not UTF-8")
	}
	if err == nil {
		err = json.Unmarshal(body, &object)
	}
	if err != nil || object == nil {
		return nil, http.StatusBadRequest, errors.New("body: must be one JSON object")
	}
	return object, 0, nil
}

// serve answers a read, with a strong ETag of the very bytes.
func serve(rw http.ResponseWriter, req *http.Request, body []byte) {
	sum := sha256.Sum256(body)
	tag := `"` + hex.EncodeToString(sum[:12]) + `"`
	rw.Header().Set("ETag", tag)
	for asked := range strings.SplitSeq(req.Header.Get("If-None-Match"), ",") {
		if asked = strings.TrimSpace(asked); asked == "*" || strings.TrimPrefix(asked, "W/") == tag {
			rw.WriteHeader(http.StatusNotModified)
			return
		}
	}
	write(rw, http.StatusOK, body)
}

func refuse(rw http.ResponseWriter, status int, why string) {
	write(rw, status, encode(map[string]string{"error": why}))
}

func write(rw http.ResponseWriter, status int, body []byte) {
	rw.Header().Set("Content-Type", "application/json")
	rw.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	rw.WriteHeader(status)
	_, _ = rw.Write(append(body, '\n'))
}
