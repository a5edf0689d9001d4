package whatsapp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"go.mau.fi/whatsmeow"
	"google.golang.org/protobuf/proto"

	"portaria/messaging"
)

// maxInboundFile is the largest file that is fetched: WhatsApp lets people send
// documents of 2 GB.
const maxInboundFile = 100 << 20

var errTooLarge = errors.New("the file is larger than it said, or than is kept")

// keep sees to it that the bytes of an inbound file are kept, once for its
// message however often that comes. The message is recorded either way: without
// them it says what the file is, and has no id to read it by. False: the channel
// closed before it was known whether the message is recorded already.
func (c *channel) keep(l *link, waID string, m *messaging.Media, from whatsmeow.DownloadableMessage) bool {
	if c.driver.o.Media == nil {
		return true
	}
	key := c.fileKey(waID)
	received, ok := c.received(key.waID)
	if !ok || received {
		return ok
	}
	info, ok := c.driver.unrecorded.find(key)
	if !ok {
		ctx, cancel := context.WithTimeout(c.ctx, c.timing.Download)
		defer cancel()
		var err error
		if info, err = c.fetch(ctx, l, m, from); err != nil {
			c.log.Warn("inbound file not kept", "kind", m.MIME, "size", m.Size, "error", err)
			return true
		}
		c.driver.unrecorded.put(key, info)
	}
	m.ID, m.Size = info.ID, info.Size
	if info.SHA256 != "" {
		m.SHA256 = info.SHA256
	}
	return true
}

func (c *channel) fileKey(waID string) fileKey { return fileKey{c.facts.ID, plain(waID)} }

// received asks whether a message is recorded, until the database answers.
func (c *channel) received(waID string) (received, ok bool) {
	ok = c.findOut("whether a message is recorded", func() (err error) {
		received, err = c.driver.o.Index.Received(c.ctx, c.facts.WorkspaceID, c.facts.Environment, c.facts.ID, waID)
		return err
	})
	return received, ok
}

func (c *channel) fetch(ctx context.Context, l *link, m *messaging.Media, from whatsmeow.DownloadableMessage) (messaging.MediaInfo, error) {
	if m.Size > maxInboundFile {
		return messaging.MediaInfo{}, errTooLarge
	}
	temp, err := c.tempFile()
	if err != nil {
		return messaging.MediaInfo{}, err
	}
	defer temp.remove()
	if err := l.client.DownloadToFile(ctx, from, &bounded{file: temp.File, most: maxInboundFile + encryptionRoom}); err != nil {
		return messaging.MediaInfo{}, fmt.Errorf("download: %w", err)
	}
	if _, err := temp.Seek(0, io.SeekStart); err != nil {
		return messaging.MediaInfo{}, fmt.Errorf("download: %w", err)
	}
	return c.driver.o.Media.KeepInbound(ctx, c.facts.WorkspaceID, c.facts.Environment, c.facts.ID, plain(m.Filename), plain(m.MIME), temp)
}

// encryptionRoom is what a file's encryption adds at most.
const encryptionRoom = 64

// bounded is a file that does not grow past a size, whatever a stranger's server
// sends.
type bounded struct {
	file *os.File
	most int64
}

var _ whatsmeow.File = (*bounded)(nil)

func (b *bounded) Read(p []byte) (int, error)               { return b.file.Read(p) }
func (b *bounded) ReadAt(p []byte, at int64) (int, error)   { return b.file.ReadAt(p, at) }
func (b *bounded) Seek(to int64, whence int) (int64, error) { return b.file.Seek(to, whence) }
func (b *bounded) Truncate(size int64) error                { return b.file.Truncate(size) }
func (b *bounded) Stat() (os.FileInfo, error)               { return b.file.Stat() }
func (b *bounded) WriteAt(p []byte, at int64) (n int, err error) {
	if at+int64(len(p)) > b.most {
		return 0, errTooLarge
	}
	return b.file.WriteAt(p, at)
}

func (b *bounded) Write(p []byte) (int, error) {
	at, err := b.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	if at+int64(len(p)) > b.most {
		return 0, errTooLarge
	}
	return b.file.Write(p)
}

func size(m proto.Message) int { return proto.Size(m) }
