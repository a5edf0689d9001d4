package whatsapp

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
	"time"

	"go.mau.fi/whatsmeow"

	"portaria/internal/fault"
	"portaria/messaging"
)

const (
	// uploadKept is how long WhatsApp's copy of a file serves further messages.
	// A campaign sends one file to many, for days; WhatsApp is known to keep files
	// for about a month, and a phone that is off must still find its own when it
	// is on again weeks later.
	uploadKept = 24 * time.Hour
	// maxUploads is how many files a channel remembers.
	maxUploads = 32
)

// uploaded is a file that WhatsApp has.
type uploaded struct {
	response whatsmeow.UploadResponse
	until    time.Time
	used     uint64 // when it was last asked for, by uploads.asked
}

type uploadKey struct {
	id   string
	kind whatsmeow.MediaType
}

// uploads are the files that WhatsApp has. The zero value is ready.
type uploads struct {
	mu    sync.Mutex
	files map[uploadKey]*uploaded
	asked uint64 // how often something was asked for
}

// find returns a file that can still be sent; nil when there is none.
func (u *uploads) find(key uploadKey, now time.Time) *uploaded {
	u.mu.Lock()
	defer u.mu.Unlock()
	f := u.files[key]
	if f == nil || !now.Before(f.until) {
		return nil
	}
	u.asked++
	f.used = u.asked
	return f
}

// put remembers a file, and forgets for it the one that was asked for the
// longest ago: that of a campaign under way stays.
func (u *uploads) put(key uploadKey, f *uploaded) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.files == nil {
		u.files = make(map[uploadKey]*uploaded)
	}
	if _, renewed := u.files[key]; !renewed && len(u.files) >= maxUploads {
		delete(u.files, u.stalest())
	}
	u.asked++
	f.used = u.asked
	u.files[key] = f
}

func (u *uploads) stalest() (stalest uploadKey) {
	least := uint64(math.MaxUint64)
	for key, f := range u.files {
		if f.used < least {
			stalest, least = key, f.used
		}
	}
	return stalest
}

// upload gives WhatsApp a file, once for the messages of a day.
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
	f := &uploaded{response: response, until: c.now().Add(uploadKept)}
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
