package gateway

import (
	"testing"

	"pgregory.net/rapid"
)

// Whatever is taken and given back in whatever order: no lineage holds more than
// its share, all together no more than there is, and nothing is lost.
func TestSharesAreNeverExceeded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const total, each = 100, 30
		s := newShares(total, each)
		held, sum := map[string]int64{}, int64(0)
		lineages := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"})
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				who, n := lineages.Draw(t, "who"), rapid.Int64Range(1, 40).Draw(t, "n")
				fits := held[who]+n <= each && sum+n <= total
				if got := s.take(who, n); got != fits {
					t.Fatalf("%s took %d of %d (all %d): %v", who, n, held[who], sum, got)
				}
				if fits {
					held[who] += n
					sum += n
				}
			},
			"give": func(t *rapid.T) {
				who := lineages.Draw(t, "who")
				s.give(who, held[who])
				sum -= held[who]
				delete(held, who)
				if len(s.by) != len(held) || s.taken != sum {
					t.Fatalf("%v and %d are held, remembered are %v and %d", held, sum, s.by, s.taken)
				}
			},
		})
	})
}
