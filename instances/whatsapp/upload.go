package whatsapp

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"go.mau.fi/whatsmeow"

	"portaria/internal/fault"
	"portaria/messaging"
)

const (
	// uploadKept is how long WhatsApp's copy of a file serves further messages:
	// it keeps files for weeks, and a campaign sends one file to many.
	uploadKept = time.Hour
	// maxUploads is how many files a channel remembers.
	maxUploads = 32
)

// uploaded is a file that WhatsApp has.
type uploaded struct {
	response whatsmeow.UploadResponse
	until    time.Time
}

type uploadKey struct {
	id   string
	kind whatsmeow.MediaType
}

// uploads are the files that WhatsApp has.
type uploads struct {
	mu    sync.Mutex
	files map[uploadKey]*uploaded
}

func (u *uploads) find(key uploadKey, now time.Time) *uploaded {
	u.mu.Lock()
	defer u.mu.Unlock()
	if f := u.files[key]; f != nil && now.Before(f.until) {
		return f
	}
	return nil
}

func (u *uploads) put(key uploadKey, f *uploaded) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.files == nil {
		u.files = make(map[uploadKey]*uploaded)
	}
	if len(u.files) >= maxUploads {
		for any := range u.files { // the order of a map is as good as any
			delete(u.files, any)
			break
		}
	}
	u.files[key] = f
}

// upload gives WhatsApp a file, once for the messages of an hour.
func (c *channel) upload(ctx context.Context, l *link, kind messaging.Kind, m *messaging.Media) (*uploaded, error) {
	key := uploadKey{m.ID, mediaTypeOf(kind)}
	if key.kind == "" {
		return nil, errUnsendable
	}
	if f := c.uploads.find(key, c.now()); f != nil {
		return f, nil
	}
	if c.driver.o.Media == nil {
		return nil, errNoFile
	}
	limited, cancel := context.WithTimeout(ctx, c.timing.Upload)
	defer cancel()
	_, file, err := c.driver.o.Media.OpenMedia(limited, c.facts.WorkspaceID, c.facts.Environment, m.ID)
	if err != nil {
		if f := fault.As(err); f != nil && f.Kind() == fault.NotFound {
			return nil, errNoFile
		}
		return nil, fmt.Errorf("%w: %w", errUpload, err)
	}
	defer file.Close()
	encrypted, err := c.tempFile()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUpload, err)
	}
	defer encrypted.remove()
	response, err := l.client.UploadReader(limited, file, encrypted.File, key.kind)
	if err != nil {
		if isDisconnect(err) || errors.Is(err, whatsmeow.ErrNotConnected) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %s", errUpload, err.Error()) // a slow upload says nothing about the socket
	}
	f := &uploaded{response, c.now().Add(uploadKept)}
	c.uploads.put(key, f)
	return f, nil
}

func mediaTypeOf(kind messaging.Kind) whatsmeow.MediaType {
	switch kind { //nolint:exhaustive // the other kinds are no files
	case messaging.KindImage, messaging.KindSticker:
		return whatsmeow.MediaImage
	case messaging.KindVideo:
		return whatsmeow.MediaVideo
	case messaging.KindAudio:
		return whatsmeow.MediaAudio
	case messaging.KindDocument:
		return whatsmeow.MediaDocument
	default:
		return ""
	}
}

// tempFile is a file that nobody needs afterwards.
type tempFile struct{ *os.File }

func (c *channel) tempFile() (tempFile, error) {
	f, err := os.CreateTemp(c.driver.o.TempDir, "whatsapp-*")
	if err != nil {
		return tempFile{}, fmt.Errorf("temporary file: %w", err)
	}
	return tempFile{f}, nil
}

func (f tempFile) remove() {
	// What cannot be removed is the system's to clean up.
	_ = f.Close()
	_ = os.Remove(f.Name())
}
