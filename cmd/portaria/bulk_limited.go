package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// limitPatience is how long is waited in all for a key that has used up its rate.
const limitPatience = 2 * time.Minute

// postPatiently is post, and does it again under the same key while the key has
// used up its rate: a bulk that was refused for that is not stored.
func (u *bulkUpload) postPatiently(ctx context.Context, io streams, api *apiClient, path, idempotencyKey string) (jsontext.Value, error) {
	var waited time.Duration
	for try := 0; ; try++ {
		data, err := u.post(ctx, api, path, idempotencyKey)
		if !limited(err) {
			return data, err
		}
		// Longer each time: what the server asks to wait is what the bulk costs, and
		// asking again costs a request more.
		wait := askedWait(err) << try
		if waited += wait; waited > limitPatience {
			return nil, err
		}
		if u.file == nil {
			fmt.Fprintln(io.err, "portaria: the rate limit of the key is used up, and a pipe cannot be read again: repeat the command later, or give it a file")
			return nil, err
		}
		fmt.Fprintf(io.err, "portaria: the rate limit of the key is used up; sending the file again in %s\n", wait)
		if !pause(ctx, wait) {
			return nil, toldError("interrupted; nothing was sent")
		}
	}
}

// limited reports whether the server asks to come again later.
func limited(err error) bool {
	refused, ok := errors.AsType[*refusal](err)
	return ok && refused.status == http.StatusTooManyRequests && refused.after > 0
}
