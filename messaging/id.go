package messaging

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"
)

// IDPrefix is the noun at the head of an id.
type IDPrefix string

// The prefixes of API.md section 2.
const (
	WorkspacePrefix IDPrefix = "wsp_"
	InstancePrefix  IDPrefix = "ins_"
	KeyPrefix       IDPrefix = "key_"
	MessagePrefix   IDPrefix = "msg_"
	EventPrefix     IDPrefix = "evt_"
	RequestPrefix   IDPrefix = "req_"
)

// crockford is Crockford's base32 alphabet in lower case: no i, l, o or u.
const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

// ulidLen is the length of a ULID's text: 128 bits, five at a time.
const ulidLen = 26

// NewID draws an id: the prefix and a ULID of the given time, so that ids sort
// by creation to the millisecond. (github.com/ulid/spec)
func NewID(prefix IDPrefix, at time.Time) string {
	var b [16]byte
	rand.Read(b[6:])
	return encodeULID(prefix, at, &b)
}

// NewEventID draws the id of an event. The first five bytes behind the time
// hold the event's sequence, so an event is found by its id without an index.
func NewEventID(sequence int64, at time.Time) string {
	var b [16]byte
	rand.Read(b[11:])
	var seq [8]byte
	binary.BigEndian.PutUint64(seq[:], uint64(sequence))
	copy(b[6:11], seq[3:])
	return encodeULID(EventPrefix, at, &b)
}

// EventSequence reads the sequence that NewEventID put into an id; false when
// id is not the id of an event.
func EventSequence(id string) (int64, bool) {
	if !ValidID(EventPrefix, id) {
		return 0, false
	}
	b := decodeULID(id[len(EventPrefix):])
	var seq [8]byte
	copy(seq[3:], b[6:11])
	return int64(binary.BigEndian.Uint64(seq[:])), true
}

// ValidID reports whether id is prefix and a ULID in lower case.
func ValidID(prefix IDPrefix, id string) bool {
	rest, ok := strings.CutPrefix(id, string(prefix))
	if !ok || len(rest) != ulidLen || rest[0] > '7' {
		return false
	}
	for i := range len(rest) {
		if strings.IndexByte(crockford, rest[i]) < 0 {
			return false
		}
	}
	return true
}

// NewWAMessageID draws a message id of the shape that WhatsApp's web clients
// use: 3EB0 and 18 upper-case hex digits.
func NewWAMessageID() string {
	var b [9]byte
	rand.Read(b[:])
	return "3EB0" + strings.ToUpper(hex.EncodeToString(b[:]))
}

func encodeULID(prefix IDPrefix, at time.Time, b *[16]byte) string {
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(at.UnixMilli()))
	copy(b[:6], ms[2:])

	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	out := make([]byte, len(prefix)+ulidLen)
	copy(out, prefix)
	for i := len(out) - 1; i >= len(prefix); i-- {
		out[i] = crockford[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(out)
}

func decodeULID(s string) (b [16]byte) {
	var hi, lo uint64
	for i := range len(s) {
		v := uint64(strings.IndexByte(crockford, s[i]))
		hi = hi<<5 | lo>>59
		lo = lo<<5 | v
	}
	binary.BigEndian.PutUint64(b[:8], hi)
	binary.BigEndian.PutUint64(b[8:], lo)
	return b
}
