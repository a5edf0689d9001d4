package auth

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"sync/atomic"
	"time"
)

// entry is one key in the directory. All but the atomics is set before the
// entry can be found and never changes: a changed record gets a new entry, so a
// proof for an old version dies with it.
//
// Its size is most of the memory of a key; see TestMemoryOfAKey before adding
// a field.
type entry struct {
	grant      Grant
	proven     verifiedDigest
	tag        uint32
	generation uint32        // when this process last changed the entry; guarded by Directory.mu
	revoked    atomic.Bool   // never taken back
	lastUsed   atomic.Uint32 // Unix seconds, zero when there is nothing to flush
}

// describes reports whether the entry says the same as a record that is not
// revoked.
func (e *entry) describes(r *Record) bool {
	g := &e.grant
	allInstances := g.AllInstances == r.AllInstances && (g.AllInstances || slices.Equal(g.Instances, r.Instances))
	limits := g.RatePerMinute == r.RatePerMinute && g.RateBurst == r.RateBurst && g.MessagesPerMinute == r.MessagesPerMinute
	return allInstances && limits &&
		g.Name == r.Name && g.Lineage == r.Lineage &&
		g.Workspace == r.Workspace && g.Environment == r.Environment &&
		g.Scopes == storedScopes(r.Scopes) && g.ExpiresAt.Equal(r.ExpiresAt) &&
		e.tag == parseTag(r.Tag)
}

// touch notes that the key was used. Most requests find their second noted.
func (e *entry) touch(now time.Time) {
	if s := uint32(now.Unix()); e.lastUsed.Load() != s {
		e.lastUsed.Store(s)
	}
}

// digest proves a token that bcrypt has accepted: the first half of
// SHA-256(process key ‖ token). A token's holder cannot compute it, and 128
// bits leave nothing to guess.
type digest [2]uint64

// digestOf returns the digest of a token's text under a process key.
func digestOf(key *[sha256.Size]byte, text string) digest {
	var input [sha256.Size + tokenLen]byte
	n := copy(input[:], key[:])
	n += copy(input[n:], text)
	sum := sha256.Sum256(input[:n])
	return digest{binary.LittleEndian.Uint64(sum[0:]), binary.LittleEndian.Uint64(sum[8:])}
}

// verifiedDigest is the digest of a key's token once bcrypt has accepted it;
// zero until then. Words are written one by one: who reads in between sees a
// mismatch and takes the slow path, nothing worse.
type verifiedDigest [2]atomic.Uint64

// is compares in constant time: all words are read before anything is decided.
func (v *verifiedDigest) is(d digest) bool {
	return (v[0].Load()^d[0])|(v[1].Load()^d[1]) == 0
}

func (v *verifiedDigest) store(d digest) {
	v[0].Store(d[0])
	v[1].Store(d[1])
}

// tagDomain parts the tag from every other digest of a token.
const tagDomain = "portaria key tag\x00"

// tagOf returns the tag of a token: enough of a SHA-256 to tell a wrong secret
// apart without bcrypt, too little (32 of some 190 bits) to help guessing it.
func tagOf(t Token) uint32 {
	var input [len(tagDomain) + tokenLen]byte
	n := copy(input[:], tagDomain)
	n += copy(input[n:], t.text)
	sum := sha256.Sum256(input[:n])
	return binary.BigEndian.Uint32(sum[:])
}

// formatTag writes a tag as it is stored.
func formatTag(tag uint32) string {
	return hex.EncodeToString(binary.BigEndian.AppendUint32(nil, tag))
}

// parseTag reads a stored tag. One that is not valid becomes zero; bcrypt still
// decides.
func parseTag(text string) uint32 {
	var b [4]byte
	if len(text) != hex.EncodedLen(len(b)) {
		return 0
	}
	if _, err := hex.Decode(b[:], []byte(text)); err != nil {
		return 0
	}
	return binary.BigEndian.Uint32(b[:])
}
