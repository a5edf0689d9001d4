package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"portaria/messaging"
)

// bulkWatchCmd watches a bulk that somebody has sent.
type bulkWatchCmd struct {
	apiFlags

	ID string `arg:"" help:"The bulk's id, blk_…" placeholder:"ID"`
}

// Help implements kong.HelpProvider.
func (bulkWatchCmd) Help() string {
	return `Needs bulk:read. Ctrl-C ends the watching, with 0, and not the bulk. Ends with 0 when everybody was sent to, and with 1 when some
could not be or the bulk was canceled.

  portaria bulk watch blk_01h455vb4pex5vsknk084sn02q
  portaria bulk watch blk_01h455vb4pex5vsknk084sn02q --json`
}

// Run implements the command.
func (cmd *bulkWatchCmd) Run(ctx context.Context, c *Config, io streams) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	if !messaging.ValidID(messaging.BulkPrefix, cmd.ID) {
		return usageError("<id>: must be a bulk's id, blk_…")
	}
	api, err := cmd.client(0)
	if err != nil {
		return err
	}
	w := newBulkWatcher(api, cmd.ID, newBulkProgress(io.err))
	return w.report(ctx, c, io, w.follow(ctx))
}

// The timings of a watcher.
const (
	// bulkLook is how often a bulk that moves is looked at, and bulkRarely one that
	// does not. Each look is one request of the key's.
	bulkLook   = 500 * time.Millisecond
	bulkRarely = 5 * time.Second
	// bulkPatience is how long a server that is away is waited for.
	bulkPatience = time.Minute
)

// errDetached ends the watching of a bulk that goes on.
var errDetached = errors.New("no longer watching")

// bulkWatcher follows a bulk to its end.
type bulkWatcher struct {
	api      *apiClient
	id       string
	progress bulkProgress
	speed    speedometer

	bulk bulkView       // as it was seen last
	data jsontext.Value // the same as the server answered it; nil: not seen yet
}

func newBulkWatcher(api *apiClient, id string, progress bulkProgress) *bulkWatcher {
	return &bulkWatcher{api: api, id: id, progress: progress}
}

// follow looks at the bulk until it ends. Errors: errDetached when ctx ends; what
// the server refuses for good; that it was away for longer than bulkPatience.
func (w *bulkWatcher) follow(ctx context.Context) error {
	defer w.progress.end()
	wait, seen, away := bulkLook, time.Now(), false
	for !w.bulk.State.Ended() {
		moved, err := w.look(ctx)
		switch {
		case ctx.Err() != nil:
			return errDetached
		case err == nil && moved:
			wait, seen, away = bulkLook, time.Now(), false
		case err == nil:
			wait, seen, away = min(wait*3/2, bulkRarely), time.Now(), false
		case !passes(err) || time.Since(seen) > bulkPatience:
			return err
		default:
			wait = max(min(wait*3/2, bulkRarely), askedWait(err))
			if !away {
				w.progress.note("the server does not answer as it should; waiting for it: " + printable(describe(err).Message))
			}
			away = true
		}
		if !w.bulk.State.Ended() && !pause(ctx, wait) {
			return errDetached
		}
	}
	return nil
}

// look asks once. It reports whether anything is different from before.
func (w *bulkWatcher) look(ctx context.Context) (moved bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerGrace)
	defer cancel()
	data, err := w.api.get(ctx, "/v1/bulk/"+w.id)
	if err != nil {
		return false, err
	}
	b, err := readBulk(data)
	if err != nil {
		return false, err
	}
	moved = b.State != w.bulk.State || b.Counts != w.bulk.Counts
	w.taken(b, data)
	return moved, nil
}

// taken notes what the server has answered, and shows it.
func (w *bulkWatcher) taken(b bulkView, data jsontext.Value) {
	w.bulk, w.data = b, data.Clone()
	now := time.Now()
	w.speed.saw(now, b.Counts.gone(), b.State == messaging.BulkRunning)
	w.progress.show(&b, w.speed.words(now, &b))
}

// passes reports whether another try may be answered otherwise.
func passes(err error) bool {
	if refused, ok := errors.AsType[*refusal](err); ok {
		return refused.passes()
	}
	return errors.Is(err, errNobodyThere) || errors.Is(err, errStrangeAnswer)
}

// askedWait is how long the server asks to wait.
func askedWait(err error) time.Duration {
	if refused, ok := errors.AsType[*refusal](err); ok {
		return refused.after
	}
	return 0
}
