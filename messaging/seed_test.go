package messaging

import (
	"context"
	"slices"
	"testing"
	"time"
)

func draws(workspace, seed string, n int64) (out []string) {
	ctx := WithSeed(context.Background(), NewSeed(workspace, seed, n))
	var source IDSource
	return []string{
		DrawID(ctx, InstancePrefix, time.Now()), source.Draw(ctx, MessagePrefix, time.Now()), source.Draw(ctx, MessagePrefix, time.Now()),
		DrawWAMessageID(ctx), DrawSandboxPhone(ctx),
	}
}

// The same seed in the same workspace draws the same, request by request; any
// other draws something else.
func TestASeedDrawsTheSame(t *testing.T) {
	first := draws("wsp_a", "seed", 0)
	if again := draws("wsp_a", "seed", 0); !slices.Equal(first, again) {
		t.Errorf("%v, then %v", first, again)
	}
	for _, other := range [][]string{draws("wsp_b", "seed", 0), draws("wsp_a", "other", 0), draws("wsp_a", "seed", 1)} {
		for i := range 4 {
			if first[i] == other[i] {
				t.Errorf("%s was drawn twice", first[i])
			}
		}
	}
	if !ValidID(InstancePrefix, first[0]) || !ValidID(MessagePrefix, first[1]) || len(first[3]) != len(NewWAMessageID()) {
		t.Errorf("strange ids: %v", first)
	}
}

// Seeded ids sort by their making, and before all that hold a time.
func TestSeededIDsSortByTheirMaking(t *testing.T) {
	var ids []string
	for n := range int64(3) {
		ctx := WithSeed(context.Background(), NewSeed("wsp_a", "seed", n))
		for range 3 {
			ids = append(ids, DrawID(ctx, MessagePrefix, time.Now()))
		}
	}
	ids = append(ids, NewID(MessagePrefix, time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)))
	if !slices.IsSorted(ids) || len(slices.Compact(ids)) != len(ids) {
		t.Errorf("ids = %v", ids)
	}
}

func TestWithoutASeedIDsAreDrawnAsEver(t *testing.T) {
	ctx := context.Background()
	if SeedOf(ctx) != nil {
		t.Error("there is a seed")
	}
	drawn := []string{
		DrawID(ctx, MessagePrefix, time.Now()), DrawID(ctx, MessagePrefix, time.Now()), DrawWAMessageID(ctx), DrawWAMessageID(ctx),
	}
	slices.Sort(drawn)
	if len(slices.Compact(drawn)) != 4 {
		t.Error("an id was drawn twice")
	}
}
