package whatsapp

import (
	"context"
	"errors"
	"fmt"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types"

	"portaria/internal/fault"
	"portaria/messaging"
)

// The acts on messages and chats are done at once, beside the lane. WhatsApp
// takes them as messages of their own, under ids of their own: nobody asks what
// becomes of these.

// Edit gives a message that was sent the content that it is passed with, for the
// phones of the chat. Of a file they get it once more: WhatsApp's own copy as
// long as it is known.
func (c *channel) Edit(ctx context.Context, m messaging.Message) error {
	return c.act(ctx, m.Peer, func(ctx context.Context, s *sending, p *person, unreadable error) error {
		if unreadable != nil {
			return unreadable
		}
		content, err := s.compose(ctx, s.link, p, &messaging.Outgoing{WAMessageID: m.WAMessageID, MessageID: m.ID, Content: m.Content})
		if err != nil {
			return err
		}
		return s.hand(ctx, p, messaging.NewWAMessageID(), s.link.client.BuildEdit(p.chat(), m.WAMessageID, content))
	})
}

// Revoke deletes a message that was sent from the phones of the chat.
func (c *channel) Revoke(ctx context.Context, m messaging.Message) error {
	return c.act(ctx, m.Peer, func(ctx context.Context, s *sending, p *person, unreadable error) error {
		if unreadable != nil {
			return unreadable
		}
		return s.hand(ctx, p, messaging.NewWAMessageID(), s.link.client.BuildRevoke(p.chat(), types.EmptyJID, m.WAMessageID))
	})
}

// Type shows a chat what is about to be sent. WhatsApp does not say whether it
// did.
func (c *channel) Type(ctx context.Context, to messaging.Address, typing messaging.Typing) error {
	return c.act(ctx, to, func(ctx context.Context, s *sending, p *person, _ error) error {
		state, media := types.ChatPresenceComposing, types.ChatPresenceMediaText
		switch typing {
		case messaging.TypingText:
		case messaging.TypingRecording:
			media = types.ChatPresenceMediaAudio
		case messaging.TypingPaused:
			state = types.ChatPresencePaused
		}
		return s.link.client.SendChatPresence(ctx, p.chat(), state, media)
	})
}

// act does something in a chat of the instance. What is done hears when there is
// no session with a person, without whom nothing can be encrypted.
func (c *channel) act(ctx context.Context, to messaging.Address, do func(ctx context.Context, s *sending, p *person, unreadable error) error) error {
	return c.connected(ctx, func(ctx context.Context, s *sending) error {
		if until, throttled := s.reach.throttledUntil(s.now()); throttled {
			return errActThrottled.After(until.Sub(s.now()))
		}
		s.prepare(ctx, []messaging.Outgoing{{To: to}})
		p, err := s.person(to)
		if err == nil || errors.Is(err, errUnreadable) {
			err = do(ctx, s, &p, err)
		}
		if errors.Is(err, errUnreadable) {
			s.people.forget(to.WAID) // who has another phone is greeted again
		}
		return s.actFault(ctx, err)
	})
}

// connected does something on the connection that there is.
func (c *channel) connected(ctx context.Context, do func(context.Context, *sending) error) error {
	if !c.enter() {
		return errNoAnswer
	}
	defer c.work.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	s := sending{channel: c, link: c.link.Load()}
	if s.link == nil || !c.online.Load() {
		return errNoAnswer
	}
	return do(ctx, &s)
}

// errActThrottled is the fault of an act while WhatsApp wants to hear less of the
// number.
var errActThrottled = fault.New(fault.RateLimited, "RATE_LIMITED", "WhatsApp asks this number to send more slowly; wait and try again.")

// actFault says what an error means for who asked for an act. What WhatsApp does
// not refuse for good may be asked for again.
func (s *sending) actFault(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errNotOnWhatsApp):
		return messaging.ErrActRefused.Saying("The number is not on WhatsApp.")
	case errors.Is(err, errUnsendable):
		return messaging.ErrActRefused.Saying("This kind of message cannot be edited.")
	case errors.Is(err, errNoFile):
		return messaging.ErrActRefused.Saying("The file of the message is not there any more.")
	case errors.Is(err, whatsmeow.ErrServerReturnedError):
		return s.actRefusal(codeOf(err))
	case ctx.Err() != nil:
	case errors.Is(err, whatsmeow.ErrMessageTimedOut), errors.Is(err, context.DeadlineExceeded):
		s.alive(ctx)
	default:
		s.log.Warn("act not done", "error", err)
	}
	return errNoAnswer.Because(err)
}

// actRefusal says what a refusal of WhatsApp means for who asked for an act.
func (s *sending) actRefusal(code int) error {
	s.log.Info("act refused", "code", code)
	switch {
	case code == ackThrottled:
		return errActThrottled.After(s.timing.RetryMax)
	case code >= ackServerErrors, code == ackInvalid:
		return errNoAnswer
	default:
		return messaging.ErrActRefused.Saying(fmt.Sprintf("WhatsApp refused this with code %d.", code)).With("provider_code", code)
	}
}

// chat is the address under which WhatsApp keeps the chat with a recipient.
func (p *person) chat() types.JID {
	if p.lid.IsEmpty() {
		return p.to
	}
	return p.lid
}
