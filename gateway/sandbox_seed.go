package gateway

import (
	"context"
	"net/http"
	"slices"

	"portaria/internal/fault"
	"portaria/messaging"
)

// SeedUse says what a row does with X-Sandbox-Seed.
type SeedUse uint8

// The uses.
const (
	SeedsNothing SeedUse = iota // the row makes no ids
	SeedsIDs                    // the ids that it makes are drawn from the seed
	SeedsRun                    // the run that it plays has the seed
)

// maxSeed is the longest seed, in bytes.
const maxSeed = 64

// seedHeader is the parameter of rows that make ids.
type seedHeader struct {
	Seed string `header:"X-Sandbox-Seed" minLength:"1" maxLength:"64" description:"Test keys only: ids are drawn from this text instead of by chance. The same requests with the same seed make the same ids again, once the test world was reset."`
}

// readSeed checks the X-Sandbox-Seed of a POST.
func (x *exchange) readSeed() error {
	seed := x.headers.sandboxSeed
	if seed == nil || x.row.Method != http.MethodPost {
		return nil
	}
	if x.call.Grant.Environment != messaging.Test {
		return fault.ErrBadRequest.Saying("X-Sandbox-Seed is for test keys.")
	}
	printable := !slices.ContainsFunc(seed, func(c byte) bool { return c < ' ' || c > '~' })
	if len(seed) == 0 || len(seed) > maxSeed || !printable {
		return fault.ErrBadRequest.Saying("An X-Sandbox-Seed is 1 to 64 printable ASCII characters.")
	}
	x.call.Seed = string(seed)
	return nil
}

// seeded returns the context under which a handler makes ids. It counts the
// request, so it is asked once the request is known to be acted on.
func (x *exchange) seeded(ctx context.Context) (context.Context, error) {
	if x.call.Seed == "" || x.row.Seeds != SeedsIDs {
		return ctx, nil
	}
	workspace := x.call.Tenancy.Workspace()
	source, err := x.server.testWorld.SeedSource(ctx, workspace)
	if err != nil {
		return ctx, err
	}
	n, err := x.server.testWorld.NextSeed(ctx, workspace, x.call.Seed)
	if err != nil {
		return ctx, err
	}
	return messaging.WithSeed(ctx, messaging.NewSeed(source, x.call.Seed, n)), nil
}
