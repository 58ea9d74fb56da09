package origin

import (
	"context"
	"errors"
	"net/url"

	"github.com/tenantry/tenantry/cache"
)

// List implements [cache.Source]. The pages are checked one by one: a fault
// after the first page means that what came before is not the whole.
func (r *Reader) List(ctx context.Context, tenant string, ck *cache.Kind, etag string, page func([]cache.Document) error) (newETag string, err error) {
	k := r.kinds[ck.ID]
	to, err := r.listTarget(k, tenant)
	if err != nil {
		return "", fault(reasonMalformed, "%w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, r.cfg.ListTimeout, errTimeout)
	defer cancel()
	l := &listing{reader: r, kind: k, family: family{tenant: tenant, kind: ck.ID, list: true}, left: r.cfg.MaxListBytes,
		keys: make(map[string]struct{}), asked: make(map[string]struct{})}
	etag = entityTag(etag)
	for n := range r.cfg.MaxPages {
		p, err := l.read(ctx, to, etag)
		if err != nil {
			return "", err
		}
		if n > 0 {
			p.etag = "" // says nothing of the pages before
		}
		if err := page(p.docs); err != nil || p.next == nil {
			return p.etag, err
		}
		to.url, etag = p.next, ""
	}
	return "", fault(reasonOversized, "list of more than %d pages", r.cfg.MaxPages)
}

func (r *Reader) listTarget(k kind, tenant string) (target, error) {
	if k.List == "" {
		return target{}, ErrNotServed
	}
	if err := checkTenant(tenant); err != nil {
		return target{}, err
	}
	return k.list.expand(r.base, tenant)
}

// listing is one List under way.
type listing struct {
	reader *Reader
	kind   kind
	family family
	// left is what remains of the bytes.
	left int64
	// keys are those of the documents so far, asked the pages so far.
	keys, asked map[string]struct{}
}

// listPage is a page of a list; next is nil after the last.
type listPage struct {
	docs []cache.Document
	next *url.URL
	etag string
}

// read reads one page, with the ETag of an earlier list of one page if it is the
// first.
func (l *listing) read(ctx context.Context, to target, etag string) (p listPage, err error) {
	first := len(l.asked) == 0
	l.asked[to.url.RequestURI()] = struct{}{}
	a := ask{tenant: l.family.tenant, to: to, etag: etag, limit: min(l.left, l.reader.cfg.MaxBytes), depth: maxDepth + 1}
	err = l.reader.read(ctx, l.kind.Name, l.family, a, func(got reply) error {
		l.left -= int64(len(got.body))
		p.etag = got.etag
		if p.docs, err = l.documents(got.body); err != nil {
			return err
		}
		p.next, err = l.next(got)
		return err
	})
	if errors.Is(err, cache.ErrAbsent) && !first {
		err = fault(reasonStatus, "status 404 for a further page")
	}
	return p, err
}

// documents maps the page's documents. Indices count through the whole list.
func (l *listing) documents(body []byte) ([]cache.Document, error) {
	if !begins(body, '[') {
		return nil, fault(reasonMalformed, "list is not a JSON array")
	}
	docs := []cache.Document{}
	for _, text := range elements(body) {
		index := len(l.keys)
		if !begins(text, '{') {
			return nil, fault(reasonMalformed, "list, index %d: not a JSON object", index)
		}
		doc, err := l.kind.document(text)
		if err == nil {
			err = checkKey(doc.Key)
		}
		if err != nil {
			return nil, fault(reasonMalformed, "list, index %d: %w", index, err)
		}
		if _, twice := l.keys[doc.Key]; twice {
			return nil, fault(reasonMalformed, "list, index %d: key %.80q for the second time", index, doc.Key)
		}
		l.keys[doc.Key] = struct{}{}
		docs = append(docs, doc)
	}
	return docs, nil
}

// next returns the page that the reply's Link names. It must be at the same
// path: a Link can choose the page, not what is listed.
func (l *listing) next(got reply) (*url.URL, error) {
	link, err := nextLink(got.links)
	if err != nil {
		return nil, fault(reasonMalformed, "%w", err)
	}
	if link == "" {
		return nil, nil
	}
	to, err := got.from.Parse(link)
	if err != nil {
		return nil, fault(reasonMalformed, "next page %.200q is not a URL", link)
	}
	if !sameOrigin(got.from, to) || to.User != nil || to.EscapedPath() != got.from.EscapedPath() {
		return nil, fault(reasonRedirect, "next page %.200q is elsewhere", link)
	}
	if _, looped := l.asked[to.RequestURI()]; looped {
		return nil, fault(reasonMalformed, "next page %.200q for the second time", link)
	}
	to.Fragment, to.RawFragment = "", ""
	return to, nil
}
