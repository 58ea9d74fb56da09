package cache

import (
	"context"
	"errors"
	"time"
)

// Document is one item as the origin gave it, already mapped to the kind's
// canonical value.
type Document struct {
	// Key is the item's key. A list must give it; One may leave it empty.
	Key string
	// Value is the canonical JSON value. The cache keeps the slice.
	Value []byte
	// Version is meaningful when Versioned is set.
	Version   uint64
	Versioned bool
	// ETag is the entity tag of the bytes the value came from; empty if the
	// origin sent none, and for items of a list.
	ETag string
}

// Source reads the origin. Every call returns within a time-out of its own,
// also when ctx has none, and wraps its failures in a [*FaultError].
type Source interface {
	// One reads an item. With an etag it may return ErrNotModified; an item
	// that the origin says it does not have is ErrAbsent.
	One(ctx context.Context, tenant string, kind *Kind, key, etag string) (Document, error)
	// List reads all items of a kind, calling page once for each page in
	// order; an error of page ends the list and is returned. It returns the ETag
	// of a list that has one page, if the origin sent one; with that of an earlier
	// list it may return ErrNotModified, before any page. A tenant that the origin
	// does not have is ErrAbsent.
	List(ctx context.Context, tenant string, kind *Kind, etag string, page func([]Document) error) (newETag string, err error)
}

// ErrAbsent is the origin's own word that it has no such item (or tenant).
var ErrAbsent = errors.New("the origin has no such item")

// ErrNotModified answers a conditional read, of an item or a list, whose ETag
// still holds.
var ErrNotModified = errors.New("not modified since the given ETag")

// FaultError is an origin read that brought no answer. The caller may retry
// after RetryAfter (0: the caller's own choice of delay).
type FaultError struct {
	// Reason is one of a fixed set of words, fit for a metric label:
	// timeout, connect, status, throttled, oversized, malformed, redirect,
	// mismatch, canceled, open.
	Reason string
	// RetryAfter is the delay the origin asked for, if any.
	RetryAfter time.Duration
	// Err says what happened, for the log.
	Err error
}

func (e *FaultError) Error() string { return "origin " + e.Reason + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *FaultError) Unwrap() error { return e.Err }
