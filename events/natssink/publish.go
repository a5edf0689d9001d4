package natssink

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"portaria/messaging"
)

// codeWrongLastID is JetStream's error of a message whose fence does not hold
// (JSStreamWrongLastMsgIDErrF of the server's errors.json).
const codeWrongLastID jetstream.ErrorCode = 10070

var (
	errLost   = errors.New("the connection is lost")
	errSilent = errors.New("the server did not acknowledge in time")
)

// isConnection reports whether nothing more can be had of this connection.
func isConnection(err error) bool {
	return errors.Is(err, errLost) || errors.Is(err, errSilent) || errors.Is(err, nats.ErrConnectionClosed)
}

// isTooLarge reports whether an event will never be taken.
func isTooLarge(err error) bool {
	return errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum)
}

func isFence(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && api.ErrorCode == codeWrongLastID
}

// publish has the stream take a page of one world, and returns when all of it is
// acknowledged, or with the first failure: then the stream has taken what is
// before it, and nothing behind.
func (s *Sink) publish(ctx context.Context, c *session, events []messaging.Event) error {
	c.begin(s.subjectsOf(&events[0]))
	fenced := true
	for letters := s.write(events); len(letters) > 0; {
		batch := letters
		if !fenced {
			batch = letters[:1]
		}
		n, err := s.send(ctx, c, batch)
		letters = letters[n:]
		switch {
		case err == nil:
		case isTooLarge(err):
			s.skip(letters[0].id, err)
			letters = letters[1:]
		case isFence(err):
			// Somebody else publishes to the stream too: the rest goes one by one.
			fenced = false
		default:
			return err
		}
	}
	return nil
}

// send publishes letters without waiting in between, then waits for their
// acknowledgements, and returns how many came before the first failure. Each
// letter is fenced by the one before it: the server takes it only when that one
// is the stream's last. A letter that the stream has already is acknowledged
// whatever its fence.
func (s *Sink) send(ctx context.Context, c *session, letters []letter) (n int, err error) {
	acks := make([]jetstream.PubAckFuture, 0, len(letters))
	var failed error
	for i, l := range letters {
		options := []jetstream.PublishOpt{jetstream.WithMsgID(l.id), jetstream.WithRetryAttempts(0)}
		l.Header.Del(jetstream.ExpectedLastMsgIDHeader) // of an earlier try
		if i > 0 {
			options = append(options, jetstream.WithExpectLastMsgID(letters[i-1].id))
		}
		ack, err := c.js.PublishMsgAsync(l.Msg, options...)
		if err != nil {
			failed = err
			break
		}
		acks = append(acks, ack)
	}
	if n, err = s.await(ctx, c, acks); err != nil {
		return n, err
	}
	return n, failed
}

// await waits for acknowledgements and returns how many came before the first
// failure.
func (s *Sink) await(ctx context.Context, c *session, acks []jetstream.PubAckFuture) (n int, err error) {
	silence := time.NewTimer(s.options.AckWait)
	defer silence.Stop()
	for i, ack := range acks {
		select {
		case <-ack.Ok():
			silence.Reset(s.options.AckWait)
		case err := <-ack.Err():
			return i, err
		case err := <-c.refusal:
			return i, err
		case <-c.lost:
			return i, errLost
		case <-silence.C:
			return i, errSilent
		case <-ctx.Done():
			return i, ctx.Err()
		}
	}
	return len(acks), nil
}
