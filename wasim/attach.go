package wasim

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"mime"
	"slices"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/proto"
)

// stored is a file on the server, as a message names it.
type stored struct {
	url, path        string
	key, sum, encSum []byte
	length           uint64
}

// store encrypts a file and puts it on the server.
func (s *Server) store(kind string, plain []byte) (stored, error) {
	f := stored{key: randomBytes(32), length: uint64(len(plain))}
	body, err := sealMedia(f.key, mediaPurpose(kind), plain)
	if err != nil {
		return stored{}, err
	}
	sum, name := sha256.Sum256(plain), sha256.Sum256(body)
	if err := s.media.keep(name, bytes.NewReader(body)); err != nil {
		return stored{}, fmt.Errorf("keep media: %w", err)
	}
	f.path = directPath(kind, name)
	f.url = "https://" + mediaHost + f.path
	f.sum, f.encSum = sum[:], name[:]
	return f, nil
}

// Attach puts a file on the server and returns a message that carries it, to
// be sent by Contact.Send or Group.Send. The kind is image, video, audio, ptt
// (a voice message), document or sticker; only image, video and document have
// a caption. It returns ErrMediaKind for other kinds.
func (s *Server) Attach(kind, mimeType, caption string, body []byte) (*waE2E.Message, error) {
	if !slices.Contains([]string{"image", "video", "audio", "ptt", "document", "sticker"}, kind) {
		return nil, ErrMediaKind
	}
	f, err := s.store(kind, body)
	if err != nil {
		return nil, err
	}
	m := &waE2E.Message{}
	switch kind {
	case "image":
		m.ImageMessage = &waE2E.ImageMessage{
			URL: &f.url, DirectPath: &f.path, MediaKey: f.key, FileSHA256: f.sum, FileEncSHA256: f.encSum,
			FileLength: &f.length, Mimetype: &mimeType, Caption: orNil(caption),
		}
	case "video":
		m.VideoMessage = &waE2E.VideoMessage{
			URL: &f.url, DirectPath: &f.path, MediaKey: f.key, FileSHA256: f.sum, FileEncSHA256: f.encSum,
			FileLength: &f.length, Mimetype: &mimeType, Caption: orNil(caption),
		}
	case "sticker":
		m.StickerMessage = &waE2E.StickerMessage{
			URL: &f.url, DirectPath: &f.path, MediaKey: f.key, FileSHA256: f.sum, FileEncSHA256: f.encSum,
			FileLength: &f.length, Mimetype: &mimeType,
		}
	case "document":
		return documentMessage(f, mimeType, caption), nil
	default:
		m.AudioMessage = &waE2E.AudioMessage{
			URL: &f.url, DirectPath: &f.path, MediaKey: f.key, FileSHA256: f.sum, FileEncSHA256: f.encSum,
			FileLength: &f.length, Mimetype: &mimeType, PTT: proto.Bool(kind == "ptt"), Seconds: proto.Uint32(1),
		}
	}
	return m, nil
}

// documentMessage wraps a document that has a caption, as phones do.
func documentMessage(f stored, mimeType, caption string) *waE2E.Message {
	name := "document"
	if extensions, err := mime.ExtensionsByType(mimeType); err == nil && len(extensions) > 0 {
		name += extensions[0]
	}
	m := &waE2E.Message{DocumentMessage: &waE2E.DocumentMessage{
		URL: &f.url, DirectPath: &f.path, MediaKey: f.key, FileSHA256: f.sum, FileEncSHA256: f.encSum,
		FileLength: &f.length, Mimetype: &mimeType, Caption: orNil(caption), FileName: &name, Title: &name,
	}}
	if caption == "" {
		return m
	}
	return &waE2E.Message{DocumentWithCaptionMessage: &waE2E.FutureProofMessage{Message: m}}
}

// orNil is a field that is left out when there is nothing to say.
func orNil(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
