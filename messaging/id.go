package messaging

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"strings"
	"sync"
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
	MediaPrefix     IDPrefix = "med_"
	WebhookPrefix   IDPrefix = "whk_"
	DeliveryPrefix  IDPrefix = "dlv_"
	BulkPrefix      IDPrefix = "blk_"
	RecipientPrefix IDPrefix = "rcp_"
	RunPrefix       IDPrefix = "run_"
)

// crockford is Crockford's base32 alphabet in lower case: no i, l, o or u.
const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

// ulidLen is the length of a ULID's text: 128 bits, five at a time.
const ulidLen = 26

// NewID draws an id: the prefix and a ULID of the given time, so that ids sort
// by creation. Those of the machine's present rise within a millisecond too; one of
// an earlier or later time, as a clock of the sandbox may tell, is random below its
// milliseconds. (github.com/ulid/spec, Monotonicity)
func NewID(prefix IDPrefix, at time.Time) string {
	if id, ok := presentID(prefix, at); ok {
		return id
	}
	var b [16]byte
	rand.Read(b[6:])
	return encodeULID(prefix, at, &b)
}

// present is the source of ids of the machine's present.
var present IDSource

// presentID draws an id of the latest millisecond drawn so far, or of one between
// that and the present; false when at is no such time.
func presentID(prefix IDPrefix, at time.Time) (string, bool) {
	present.mu.Lock()
	defer present.mu.Unlock()
	if !present.precedes(at) || at.After(time.Now()) {
		return "", false
	}
	return present.next(prefix, at), true
}

// IDSource draws ids that rise with every draw, so that a list by id is a list
// by age also within a millisecond and whatever the clock does. The zero value
// is ready; it is safe for concurrent use.
type IDSource struct {
	mu   sync.Mutex
	last [16]byte
}

// Next draws an id of the given time, or of the latest time drawn so far.
func (s *IDSource) Next(prefix IDPrefix, at time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next(prefix, at)
}

// precedes reports whether the last id is of that millisecond, or of an earlier
// one.
func (s *IDSource) precedes(at time.Time) bool {
	ms := milliseconds(at)
	return bytes.Compare(s.last[:6], ms[:]) <= 0
}

func (s *IDSource) next(prefix IDPrefix, at time.Time) string {
	if ms := milliseconds(at); bytes.Compare(ms[:], s.last[:6]) > 0 {
		copy(s.last[:6], ms[:])
		rand.Read(s.last[6:])
		s.last[6] &= 0x7f // room to count up
	} else {
		for i := len(s.last) - 1; i >= 0; i-- {
			if s.last[i]++; s.last[i] != 0 {
				break
			}
		}
	}
	return encodeBytes(prefix, &s.last)
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

// NewRecipientID returns the id of a bulk's row. It is always the same for the
// same row, so that it need not be stored.
func NewRecipientID(bulkID string, row int64) string {
	sum := sha256.Sum256([]byte(bulkID + "/" + strconv.FormatInt(row, 10)))
	return encodeBytes(RecipientPrefix, (*[16]byte)(sum[:16]))
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
	const digits = "0123456789ABCDEF"
	var b [9]byte
	rand.Read(b[:])
	id := append(make([]byte, 0, 22), "3EB0"...)
	for _, v := range b {
		id = append(id, digits[v>>4], digits[v&15])
	}
	return string(id)
}

func encodeULID(prefix IDPrefix, at time.Time, b *[16]byte) string {
	ms := milliseconds(at)
	copy(b[:6], ms[:])
	return encodeBytes(prefix, b)
}

// milliseconds is the time of a ULID: its first six bytes.
func milliseconds(at time.Time) (front [6]byte) {
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(at.UnixMilli()))
	copy(front[:], ms[2:])
	return front
}

func encodeBytes(prefix IDPrefix, b *[16]byte) string {
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
