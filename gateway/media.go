package gateway

import (
	"context"
	"errors"
	"io"
	"mime"
	"time"

	"portaria/auth"
	"portaria/internal/fault"
	"portaria/media"
	"portaria/messaging"
)

// mediaView is a stored file as the API shows it.
type mediaView struct {
	ID       string   `json:"id"`
	MIMEType string   `json:"mime_type"`
	Filename nullable `json:"filename"`
	Size     int64    `json:"size"`
	SHA256   string   `json:"sha256"`
}

// uploadMedia is the body of POST /v1/media when it is JSON.
type uploadMedia struct{ fileInput }

// validate implements validator.
func (u *uploadMedia) validate(call *Call, fields *fault.Fields) error {
	u.check("", false, call.exchange.upload != nil, fields)
	return nil
}

// uploadMedia stores a file that messages can be made of.
func (s *Server) uploadMedia(ctx context.Context, call *Call, req uploadMedia) (mediaView, error) {
	ctx, done := unhurried(ctx, call, req.URL != "")
	defer done()
	f, err := s.bring(ctx, call, &req.fileInput, media.MaxBytes)
	if err != nil {
		return mediaView{}, err
	}
	defer f.spooled.Discard()
	is, wrong := media.Check(messaging.KindDocument, false, f.declared, f.spooled.MIME, f.spooled.Size)
	if err := wrong.Err(); err != nil {
		return mediaView{}, err
	}
	m, err := s.media.Keep(ctx, f.spooled, call.ownMedia("", is, f.name))
	if err != nil {
		return mediaView{}, err
	}
	return mediaView{ID: m.ID, MIMEType: m.MIME, Filename: nullable(m.Filename), Size: m.Size, SHA256: m.SHA256}, nil
}

// fileAnswer is a stored file with its bytes.
type fileAnswer struct {
	info messaging.MediaInfo
	r    io.ReadCloser
}

// answer implements the description of envelopes: a file has none.
func (fileAnswer) answer() any { return nil }

func (f fileAnswer) inForm() (data any, other *form) { //nolint:unparam // manyFormed has both
	name := nameOr(f.info.Filename, f.info.ID)
	return nil, &form{mediaType: f.info.MIME, file: &fileBody{
		ReadCloser: f.r, size: f.info.Size, disposition: mime.FormatMediaType("attachment", map[string]string{"filename": name}),
	}}
}

// getMedia shows a file.
func (s *Server) getMedia(ctx context.Context, call *Call, _ nothing) (fileAnswer, error) {
	m, err := s.media.Find(ctx, call.Tenancy, call.ID)
	if err == nil && !call.seesMedia(&m) {
		err = fault.ErrNotFound
	}
	if err != nil {
		return fileAnswer{}, err
	}
	m, r, err := s.media.Open(ctx, call.Tenancy, m.ID)
	return fileAnswer{m, r}, err
}

// ownMedia is a file that the caller brings.
func (c *Call) ownMedia(instanceID, mimeType, name string) messaging.MediaInfo {
	return messaging.MediaInfo{
		WorkspaceID: c.Tenancy.Workspace(), Environment: c.Tenancy.Environment(), InstanceID: instanceID,
		Lineage: c.Grant.Lineage, MIME: mimeType, Filename: name,
	}
}

// seesMedia reports whether a file that the tenancy opens is the caller's to
// see: its own, or with messages:read those of its instances. What others
// uploaded for no instance is seen only by keys that are locked to none.
func (c *Call) seesMedia(m *messaging.MediaInfo) bool {
	switch {
	case m.Lineage != "" && m.Lineage == c.Grant.Lineage:
		return true
	case !c.Grant.Can(auth.MessagesRead):
		return false
	default:
		return m.InstanceID != "" || !c.Grant.Locked()
	}
}

// brought is a file on its way in.
type brought struct {
	spooled  *media.Spooled
	name     string
	declared string // its type as the caller says
}

// bring spools a file from where the caller says it is. Whoever calls discards
// it.
func (s *Server) bring(ctx context.Context, call *Call, f *fileInput, limit int64) (brought, error) {
	if u := call.exchange.upload; u != nil {
		return brought{u.spooled, nameOr(f.Filename, u.name), nameOr(f.MIMEType, u.declared)}, nil
	}
	if f.URL != "" {
		fetched, err := s.media.Fetch(ctx, f.URL, limit)
		if err != nil {
			return brought{}, err
		}
		return brought{fetched.Spooled, nameOr(f.Filename, fetched.Filename), f.MIMEType}, nil
	}
	spooled, err := s.media.Spool(f.Base64.file(call.exchange.body), limit)
	return brought{spooled, f.Filename, f.MIMEType}, err
}

// attach brings the file of a message and makes it the content's. kept is the
// file when it was stored for this message alone.
func (s *Server) attach(ctx context.Context, call *Call, file *mediaInput, content *messaging.Media) (kept *messaging.MediaInfo, err error) {
	if file.MediaID != "" {
		return nil, s.attachStored(ctx, call, file, content)
	}
	f, is, err := s.bringChecked(ctx, call, file)
	if err != nil {
		return nil, err
	}
	defer f.spooled.Discard()
	m, err := s.media.Keep(ctx, f.spooled, call.ownMedia(call.InstanceID, is, f.name))
	if err != nil {
		return nil, err
	}
	describe(content, &m)
	return &m, nil
}

// bringChecked brings the file of a message and says of what type it is. Whoever
// calls discards it.
func (s *Server) bringChecked(ctx context.Context, call *Call, file *mediaInput) (f brought, is string, err error) {
	f, err = s.bring(ctx, call, &file.fileInput, media.MaxOf(file.kind))
	if err != nil {
		return brought{}, "", unfit(string(file.kind), err)
	}
	is, wrong := media.Check(file.kind, file.Voice, f.declared, f.spooled.MIME, f.spooled.Size)
	if err := within(string(file.kind), wrong).Err(); err != nil {
		f.spooled.Discard()
		return brought{}, "", err
	}
	return f, is, nil
}

// tryOn does what attach does, but for keeping the file.
func (s *Server) tryOn(ctx context.Context, call *Call, file *mediaInput, content *messaging.Media) error {
	f, is, err := s.bringChecked(ctx, call, file)
	if err != nil {
		return err
	}
	defer f.spooled.Discard()
	describe(content, &messaging.MediaInfo{MIME: is, Filename: f.name, Size: f.spooled.Size, SHA256: f.spooled.SHA256})
	return nil
}

// attachStored takes a file that is there already.
func (s *Server) attachStored(ctx context.Context, call *Call, file *mediaInput, content *messaging.Media) error {
	at := string(file.kind)
	m, err := s.media.Find(ctx, call.Tenancy, file.MediaID)
	if errors.Is(err, fault.ErrNotFound) || err == nil && !call.seesMedia(&m) {
		return fault.Fields{{Field: at + ".media_id", Rule: "not_found", Message: "is not a file that this key may use"}}.Err()
	}
	if err != nil {
		return err
	}
	is, wrong := media.Check(file.kind, file.Voice, file.MIMEType, m.MIME, m.Size)
	if err := within(at, wrong).Err(); err != nil {
		return err
	}
	m.MIME, m.Filename = is, nameOr(file.Filename, m.Filename)
	describe(content, &m)
	return nil
}

func describe(content *messaging.Media, m *messaging.MediaInfo) {
	content.ID, content.MIME, content.Filename, content.Size, content.SHA256 = m.ID, m.MIME, m.Filename, m.Size, m.SHA256
}

// within puts the fields of a media object where it stands in the body.
func within(at string, wrong fault.Fields) fault.Fields {
	for i := range wrong {
		if wrong[i].Field == "" {
			wrong[i].Field = at
		} else {
			wrong[i].Field = join(at, wrong[i].Field)
		}
	}
	return wrong
}

// unfit says of a file that cannot be a message what its kind of message takes.
func unfit(at string, err error) error {
	switch {
	case errors.Is(err, media.ErrTooLarge):
		return fault.Fields{{Field: at, Rule: "max_bytes", Message: "is larger than a file of this type may be"}}.Err()
	case errors.Is(err, media.ErrEmpty):
		return fault.Fields{{Field: at, Rule: "required", Message: "is an empty file"}}.Err()
	default:
		return err
	}
}

// unhurried gives a request that fetches a file more time than others have.
func unhurried(ctx context.Context, call *Call, fetches bool) (context.Context, context.CancelFunc) {
	if !fetches {
		return ctx, func() {}
	}
	return call.Patiently(ctx, media.FetchTimeout+defaultDeadline)
}

// dropTimeout bounds the removal of a file that nobody will know of.
const dropTimeout = 5 * time.Second

// dropUnused removes a file whose message was refused. When it is not certain
// that the message is not stored, the file stays: a message without its file
// would be worse than a file without its message.
func (s *Server) dropUnused(ctx context.Context, kept *messaging.MediaInfo, refusal error) {
	f := fault.As(refusal)
	if kept == nil || f == nil || f.Kind() == fault.Unavailable || f.Kind() == fault.Internal {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropTimeout)
	defer cancel()
	if err := s.media.Drop(ctx, *kept); err != nil {
		s.logger.Warn("the file of a refused message stays", "media_id", kept.ID, "error", err)
	}
}
