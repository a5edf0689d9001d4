package media

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
)

// Store keeps what is known of files.
type Store interface {
	// InsertMedia stores what is known of a file.
	InsertMedia(ctx context.Context, m messaging.MediaInfo, createdAt time.Time) error
	// FindMedia finds a file; fault.ErrNotFound.
	FindMedia(ctx context.Context, workspace string, env messaging.Environment, id string) (messaging.MediaInfo, error)
	// DeleteMedia forgets a file.
	DeleteMedia(ctx context.Context, workspace string, env messaging.Environment, id string) error
}

// MaxBytes is the size of the largest file.
const MaxBytes = 100 << 20

// Options are the parts of a Library.
type Options struct {
	Store Store
	// Dir is the folder that holds the files; it is made when it is needed.
	Dir string
	// Allow lists addresses that URLs may lead to though they are not public.
	Allow []netip.Prefix
}

// Library keeps files. It may be used by several goroutines.
type Library struct {
	store   Store
	dir     string
	fetcher *fetcher
}

// The modes of what the library makes: files are as private as messages.
const (
	dirMode  fs.FileMode = 0o700
	fileMode fs.FileMode = 0o600
)

// New returns a library.
func New(o Options) (*Library, error) {
	if o.Store == nil || o.Dir == "" {
		return nil, errors.New("media: Options.Store or Options.Dir is missing")
	}
	return &Library{store: o.Store, dir: o.Dir, fetcher: newFetcher(o.Allow)}, nil
}

// Upload is a file as it comes.
type Upload struct {
	Tenancy    messaging.Tenancy
	InstanceID string // empty: for no instance in particular
	Lineage    string // of the key that brings it
	Filename   string
	MIME       string // as the sender says; empty: unknown
	Reader     io.Reader
}

// Put spools a file and keeps it. Faults: those of Spool and Keep.
func (l *Library) Put(ctx context.Context, u Upload) (messaging.MediaInfo, error) {
	spooled, err := l.Spool(u.Reader, MaxBytes)
	if err != nil {
		return messaging.MediaInfo{}, err
	}
	defer spooled.Discard()
	mime, ok := spooled.Declared(u.MIME)
	if !ok {
		mime = spooled.MIME
	}
	return l.Keep(ctx, spooled, messaging.MediaInfo{
		WorkspaceID: u.Tenancy.Workspace(), Environment: u.Tenancy.Environment(), InstanceID: u.InstanceID, Lineage: u.Lineage,
		MIME: mime, Filename: u.Filename,
	})
}

// Keep makes a spooled file durable under a new id: on the disk first, then in
// the database. Size and SHA-256 are the file's own. When it fails, nothing is
// left but a row that the database may have kept without saying so. Fault:
// ErrStorage.
func (l *Library) Keep(ctx context.Context, s *Spooled, m messaging.MediaInfo) (messaging.MediaInfo, error) {
	now := time.Now()
	m.ID, m.Size, m.SHA256 = messaging.DrawID(ctx, messaging.MediaPrefix, now), s.Size, s.SHA256
	m.Filename = cleanName(m.Filename)
	path := l.path(m.ID)
	if err := s.moveTo(path); err != nil {
		return messaging.MediaInfo{}, err
	}
	if err := l.store.InsertMedia(ctx, m, now); err != nil {
		return messaging.MediaInfo{}, errors.Join(fmt.Errorf("keep media: %w", err), os.Remove(path))
	}
	return m, nil
}

// Drop forgets a file that was kept for something which did not come about.
func (l *Library) Drop(ctx context.Context, m messaging.MediaInfo) error {
	if err := l.store.DeleteMedia(ctx, m.WorkspaceID, m.Environment, m.ID); err != nil {
		return fmt.Errorf("drop media: %w", err)
	}
	if err := os.Remove(l.path(m.ID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return ErrStorage.Because(err)
	}
	return nil
}

// Remove deletes the bytes of files whose rows are gone. One that cannot be
// deleted is the error; the others are deleted all the same.
func (l *Library) Remove(ids []string) error {
	var failed []error
	for _, id := range ids {
		if !messaging.ValidID(messaging.MediaPrefix, id) {
			continue
		}
		if err := os.Remove(l.path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// Find returns what is known of a file within a tenancy. One of an instance
// that the allowlist does not open is fault.ErrNotFound, as an absent one.
func (l *Library) Find(ctx context.Context, t messaging.Tenancy, id string) (messaging.MediaInfo, error) {
	if !messaging.ValidID(messaging.MediaPrefix, id) {
		return messaging.MediaInfo{}, fault.ErrNotFound
	}
	m, err := l.store.FindMedia(ctx, t.Workspace(), t.Environment(), id)
	if err == nil && m.InstanceID != "" && !t.Allowlist().Opens(m.InstanceID) {
		err = fault.ErrNotFound
	}
	if err != nil {
		return messaging.MediaInfo{}, err
	}
	return m, nil
}

// Open finds a file within a tenancy and opens it. Faults: fault.ErrNotFound,
// ErrStorage.
func (l *Library) Open(ctx context.Context, t messaging.Tenancy, id string) (messaging.MediaInfo, io.ReadCloser, error) {
	m, err := l.Find(ctx, t, id)
	if err != nil {
		return messaging.MediaInfo{}, nil, err
	}
	return l.open(m)
}

// OpenMedia opens a file for the driver that sends it.
func (l *Library) OpenMedia(ctx context.Context, workspace string, env messaging.Environment, id string) (messaging.MediaInfo, io.ReadCloser, error) {
	m, err := l.store.FindMedia(ctx, workspace, env, id)
	if err != nil {
		return messaging.MediaInfo{}, nil, err
	}
	return l.open(m)
}

// KeepInbound keeps a file that a contact sent to an instance. What the sender
// says of its type is believed when the bytes do not contradict it.
func (l *Library) KeepInbound(
	ctx context.Context, workspace string, env messaging.Environment, instanceID, filename, mime string, r io.Reader,
) (messaging.MediaInfo, error) {
	spooled, err := l.Spool(r, MaxBytes)
	if err != nil {
		return messaging.MediaInfo{}, err
	}
	defer spooled.Discard()
	declared, ok := spooled.Declared(mime)
	if !ok {
		declared = spooled.MIME
	}
	return l.Keep(ctx, spooled, messaging.MediaInfo{
		WorkspaceID: workspace, Environment: env, InstanceID: instanceID, MIME: declared, Filename: filename,
	})
}

func (l *Library) open(m messaging.MediaInfo) (messaging.MediaInfo, io.ReadCloser, error) {
	f, err := os.Open(l.path(m.ID))
	if err != nil {
		return messaging.MediaInfo{}, nil, ErrStorage.Because(err)
	}
	return m, f, nil
}

// path is where a file lies. The last characters of an id are random, so that
// the folders fill evenly.
func (l *Library) path(id string) string {
	return filepath.Join(l.dir, id[len(id)-2:], id)
}
