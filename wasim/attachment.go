package wasim

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"

	"go.mau.fi/whatsmeow/proto/waE2E"

	"portaria/internal/fault"
)

// What can be wrong with a file in a message.
var (
	ErrNoMedia     = fault.New(fault.Invalid, "WASIM_NO_MEDIA", "The message carries no file.")
	ErrMediaKind   = fault.New(fault.Invalid, "WASIM_MEDIA_KIND", "A file is an image, video, audio, ptt, document or sticker.")
	ErrMediaGone   = fault.New(fault.NotFound, "WASIM_MEDIA_GONE", "The file is not on the server.")
	ErrMediaBroken = fault.New(fault.Invalid, "WASIM_MEDIA_BROKEN", "The file is not what the message says.")
)

// mediaMACSize is how much of the HMAC is kept at the end of a file.
const mediaMACSize = 10

// attached is what all messages with a file have in common.
type attached interface {
	GetDirectPath() string
	GetMediaKey() []byte
	GetFileSHA256() []byte
	GetFileEncSHA256() []byte
	GetFileLength() uint64
}

// Media downloads the file of a message, checks everything that the message
// says about it and returns it decrypted. It returns ErrNoMedia, ErrMediaGone
// or ErrMediaBroken.
func (s *Server) Media(ctx context.Context, msg *waE2E.Message) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	file, purpose := attachmentOf(msg)
	if file == nil {
		return nil, ErrNoMedia
	}
	name, ok := parseDirectPath(file.GetDirectPath())
	if !ok {
		return nil, ErrMediaBroken.With("direct_path", file.GetDirectPath())
	}
	if !bytes.Equal(file.GetFileEncSHA256(), name[:]) {
		return nil, ErrMediaBroken.With("wrong", "file_enc_sha256")
	}
	sealed, err := s.media.open(name)
	if err != nil {
		return nil, ErrMediaGone.Because(err)
	}
	defer sealed.Close()
	body, err := io.ReadAll(sealed)
	if err != nil {
		return nil, fmt.Errorf("read media: %w", err)
	}
	plain, err := openMedia(file.GetMediaKey(), purpose, body)
	if err != nil {
		return nil, ErrMediaBroken.Because(err)
	}
	sum := sha256.Sum256(plain)
	switch {
	case !bytes.Equal(sum[:], file.GetFileSHA256()):
		return nil, ErrMediaBroken.With("wrong", "file_sha256")
	case file.GetFileLength() != uint64(len(plain)):
		return nil, ErrMediaBroken.With("wrong", "file_length")
	}
	return plain, nil
}

// attachmentOf returns the part of a message that has a file, and what the
// file's keys are derived for. It returns nil when there is none.
func attachmentOf(msg *waE2E.Message) (file attached, purpose string) {
	m := content(msg)
	switch {
	case m.GetImageMessage() != nil:
		return m.ImageMessage, mediaPurpose("image")
	case m.GetVideoMessage() != nil:
		return m.VideoMessage, mediaPurpose("video")
	case m.GetAudioMessage() != nil:
		return m.AudioMessage, mediaPurpose("audio")
	case m.GetDocumentMessage() != nil:
		return m.DocumentMessage, mediaPurpose("document")
	case m.GetStickerMessage() != nil:
		return m.StickerMessage, mediaPurpose("sticker")
	default:
		return nil, ""
	}
}

// content returns what a message says without the wrappers around it.
func content(m *waE2E.Message) *waE2E.Message {
	for range maxDepth {
		var inner *waE2E.Message
		switch {
		case m.GetDeviceSentMessage() != nil:
			inner = m.GetDeviceSentMessage().GetMessage()
		case m.GetEphemeralMessage() != nil:
			inner = m.GetEphemeralMessage().GetMessage()
		case m.GetViewOnceMessage() != nil:
			inner = m.GetViewOnceMessage().GetMessage()
		case m.GetViewOnceMessageV2() != nil:
			inner = m.GetViewOnceMessageV2().GetMessage()
		case m.GetViewOnceMessageV2Extension() != nil:
			inner = m.GetViewOnceMessageV2Extension().GetMessage()
		case m.GetDocumentWithCaptionMessage() != nil:
			inner = m.GetDocumentWithCaptionMessage().GetMessage()
		}
		if inner == nil {
			return m
		}
		m = inner
	}
	return m
}
