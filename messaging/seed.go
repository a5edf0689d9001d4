package messaging

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Seed draws ids that are the same whenever the same is asked of a workspace of
// the same name in the same order (API.md section 10, X-Sandbox-Seed). One Seed
// serves one request. It is safe for concurrent use, but what is drawn side by
// side comes in no certain order.
//
// Such an id holds the request's number and the number of the draw in place of a
// time, so that seeded ids sort by their making, and before all others.
type Seed struct {
	source string // the workspace's name and the seed
	base   uint64
	drawn  atomic.Uint64
}

// seedDraws is how many ids one request draws from a seed at most, before they
// run into those of the next.
const seedDraws = 1 << 20

// NewSeed returns the seed of a request, the n-th with that seed since the
// workspace's test world was reset. source is the workspace's name.
func NewSeed(source, seed string, n int64) *Seed {
	return &Seed{source: source + "\x00" + seed, base: uint64(n) * seedDraws}
}

// digest is what a draw is made of besides its number.
func (s *Seed) digest(of string) (n uint64, sum [sha256.Size]byte) {
	n = s.base + s.drawn.Add(1) - 1
	return n, sha256.Sum256([]byte(s.source + "\x00" + of + "\x00" + strconv.FormatUint(n, 10)))
}

type seedKey struct{}

// WithSeed returns a context under which DrawID and the like draw from a seed.
func WithSeed(ctx context.Context, s *Seed) context.Context {
	return context.WithValue(ctx, seedKey{}, s)
}

// SeedOf returns the seed of a context; nil when it has none.
func SeedOf(ctx context.Context) *Seed {
	s, _ := ctx.Value(seedKey{}).(*Seed)
	return s
}

// DrawID draws an id: from the context's seed if it has one, else NewID.
func DrawID(ctx context.Context, prefix IDPrefix, at time.Time) string {
	if s := SeedOf(ctx); s != nil {
		return s.id(prefix)
	}
	return NewID(prefix, at)
}

// Draw is Next, unless the context has a seed to draw from.
func (s *IDSource) Draw(ctx context.Context, prefix IDPrefix, at time.Time) string {
	if seed := SeedOf(ctx); seed != nil {
		return seed.id(prefix)
	}
	return s.Next(prefix, at)
}

func (s *Seed) id(prefix IDPrefix) string {
	n, sum := s.digest(string(prefix))
	var b [16]byte
	copy(b[6:], sum[:])
	var front [8]byte
	binary.BigEndian.PutUint64(front[:], n)
	copy(b[:6], front[2:])
	return encodeBytes(prefix, &b)
}

// DrawWAMessageID is NewWAMessageID, unless the context has a seed to draw from.
func DrawWAMessageID(ctx context.Context) string {
	s := SeedOf(ctx)
	if s == nil {
		return NewWAMessageID()
	}
	_, sum := s.digest("wa_message_id")
	return "3EB0" + strings.ToUpper(hex.EncodeToString(sum[:9]))
}

// DrawSandboxPhone is NewSandboxPhone, unless the context has a seed to draw
// from.
func DrawSandboxPhone(ctx context.Context) string {
	s := SeedOf(ctx)
	if s == nil {
		return NewSandboxPhone()
	}
	_, sum := s.digest("phone")
	return fmt.Sprintf("1555555%04d", binary.BigEndian.Uint64(sum[:8])%10000)
}
