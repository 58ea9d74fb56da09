package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/memberlist"
)

// Metadata is one byte for the format, then fields of a tag, a length and so
// many bytes. A reader skips the tags it does not know and what is longer than
// it expects at the end of a number, so a later version may add both.
const metaFormat = 1

const (
	tagID = iota + 1
	tagAddress
	tagZone
	tagState
	tagAlgorithm
	tagVersion
	tagFlags
	tagEpoch
	tagPadding
)

const flagBusLive = 1

// maxMeta is what the bounds below add up to, in bytes. memberlist panics over
// 512, and an alive message should fit into a packet several times.
const maxMeta = 396

// Bounds in bytes.
const (
	maxName      = 128
	maxAddress   = 160
	maxZone      = 32
	maxAlgorithm = 64
	maxVersion   = 32
)

var (
	errFormat    = errors.New("not metadata of a format known here")
	errTruncated = errors.New("metadata ends within a field")
	errNoID      = errors.New("metadata without an id")
)

// encode pads what it returns, by 0 to 63 bytes that depend on the ID.
// memberlist's queue of broadcasts keeps two of the same length apart by a
// number that it gives out again when the queue becomes empty, and loses one if
// the numbers are the same: the news that a suspect lives, for one. So alive
// messages of two nodes better have two lengths. (hashicorp/memberlist#263.)
func (m *Meta) encode() []byte {
	b := make([]byte, 0, 192)
	b = append(b, metaFormat)
	b = field(b, tagID, m.ID[:])
	b = field(b, tagAddress, []byte(m.Address))
	b = field(b, tagZone, []byte(m.Zone))
	b = field(b, tagState, []byte{byte(m.State)})
	b = field(b, tagAlgorithm, []byte(m.Algorithm))
	b = field(b, tagVersion, []byte(m.Version))
	if m.BusLive {
		b = field(b, tagFlags, []byte{flagBusLive})
	}
	if m.Epoch != 0 {
		b = field(b, tagEpoch, binary.BigEndian.AppendUint64(nil, m.Epoch))
	}
	return field(b, tagPadding, make([]byte, m.ID[len(m.ID)-1]%64))
}

func field(b []byte, tag byte, value []byte) []byte {
	if len(value) == 0 {
		return b
	}
	return append(append(b, tag, byte(len(value))), value...)
}

// decodeMeta reads what a peer sent. What it returns is within the bounds.
func decodeMeta(b []byte) (m Meta, err error) {
	if len(b) > memberlist.MetaMaxSize {
		return Meta{}, fmt.Errorf("metadata of %d bytes, more than %d", len(b), memberlist.MetaMaxSize)
	}
	if len(b) == 0 || b[0] != metaFormat {
		return Meta{}, errFormat
	}
	for b = b[1:]; len(b) > 0; {
		if len(b) < 2 || len(b)-2 < int(b[1]) {
			return Meta{}, errTruncated
		}
		end := 2 + int(b[1])
		m.set(b[0], b[2:end])
		b = b[end:]
	}
	if m.ID == (ID{}) {
		return Meta{}, errNoID
	}
	return m, m.check()
}

// set takes over one field; a number that is cut short counts as not given.
func (m *Meta) set(tag byte, value []byte) {
	switch {
	case tag == tagID && len(value) >= len(m.ID):
		m.ID = ID(value[:len(m.ID)])
	case tag == tagAddress:
		m.Address = string(value)
	case tag == tagZone:
		m.Zone = string(value)
	case tag == tagState && len(value) >= 1:
		m.State = knownState(value[0])
	case tag == tagAlgorithm:
		m.Algorithm = string(value)
	case tag == tagVersion:
		m.Version = string(value)
	case tag == tagFlags && len(value) >= 1:
		m.BusLive = value[0]&flagBusLive != 0
	case tag == tagEpoch && len(value) >= 8:
		m.Epoch = binary.BigEndian.Uint64(value)
	}
}

func knownState(b byte) State {
	if s := State(b); s <= Leaving {
		return s
	}
	return Joining
}

func (m *Meta) check() error {
	return errors.Join(
		text("address", m.Address, 1, maxAddress),
		text("zone", m.Zone, 0, maxZone),
		text("algorithm", m.Algorithm, 0, maxAlgorithm),
		text("version", m.Version, 0, maxVersion),
	)
}

// checkName refuses names that would spoil a log line or a table.
func checkName(name string) error { return text("name", name, 1, maxName) }

// text returns what is wrong with the text, quoting little of it.
func text(what, s string, least, most int) error {
	switch {
	case len(s) < least:
		return fmt.Errorf("%s: is missing", what)
	case len(s) > most:
		return fmt.Errorf("%s %.40q…: is %d bytes, more than %d", what, s, len(s), most)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }):
		return fmt.Errorf("%s %.40q: has spaces, control characters or invalid UTF-8", what, s)
	}
	return nil
}
