package media_test

import (
	"strings"
	"testing"

	"portaria/media"
	"portaria/messaging"
)

// The beginnings of files.
const (
	png  = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"
	jpeg = "\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01"
	gif  = "GIF89a\x01\x00\x01\x00"
	webp = "RIFF\x24\x00\x00\x00WEBPVP8 "
	mp4  = "\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"
	mp3  = "ID3\x03\x00\x00\x00\x00\x00\x21"
	opus = "OggS\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04\x00\x00\x00\x00\x05\x06\x07\x08\x01\x13OpusHead\x01\x01"
	pdf  = "%PDF-1.7\n"
	zip  = "PK\x03\x04\x14\x00\x00\x00\x08\x00"
	html = "<!DOCTYPE html><html><script>alert(1)</script>"
	elf  = "\x7fELF\x02\x01\x01\x00"
)

// What a file is decides its bytes; what a caller says of it may only make that
// more precise.
func TestBytesDecideWhatAFileIs(t *testing.T) {
	for name, c := range map[string]struct {
		kind     messaging.Kind
		bytes    string
		declared string
		voice    bool
		want     string // empty: refused
	}{
		"png":                     {kind: messaging.KindImage, bytes: png, want: "image/png"},
		"jpeg":                    {kind: messaging.KindImage, bytes: jpeg, declared: "image/jpg", want: "image/jpeg"},
		"png said to be jpeg":     {kind: messaging.KindImage, bytes: png, declared: "image/jpeg"},
		"html said to be png":     {kind: messaging.KindImage, bytes: html, declared: "image/png"},
		"nothing said to be png":  {kind: messaging.KindImage, bytes: "\x01\x02\x03", declared: "image/png"},
		"gif as image":            {kind: messaging.KindImage, bytes: gif},
		"pdf as image":            {kind: messaging.KindImage, bytes: pdf},
		"mp4":                     {kind: messaging.KindVideo, bytes: mp4, declared: "video/mp4", want: "video/mp4"},
		"png as video":            {kind: messaging.KindVideo, bytes: png},
		"mp3":                     {kind: messaging.KindAudio, bytes: mp3, declared: "audio/mp3", want: "audio/mpeg"},
		"mp4 as audio":            {kind: messaging.KindAudio, bytes: mp4, want: "audio/mp4"},
		"unknown sound":           {kind: messaging.KindAudio, bytes: "\x01\x02\x03", declared: "audio/aac", want: "audio/aac"},
		"unknown and undeclared":  {kind: messaging.KindAudio, bytes: "\x01\x02\x03"},
		"opus":                    {kind: messaging.KindAudio, bytes: opus, declared: "audio/ogg", want: "audio/ogg; codecs=opus"},
		"voice note":              {kind: messaging.KindAudio, bytes: opus, voice: true, want: "audio/ogg; codecs=opus"},
		"mp3 as voice note":       {kind: messaging.KindAudio, bytes: mp3, voice: true},
		"sticker":                 {kind: messaging.KindSticker, bytes: webp, want: "image/webp"},
		"png as sticker":          {kind: messaging.KindSticker, bytes: png},
		"pdf":                     {kind: messaging.KindDocument, bytes: pdf, declared: "application/pdf", want: "application/pdf"},
		"document of any type":    {kind: messaging.KindDocument, bytes: elf, declared: "application/octet-stream", want: "application/x-elf"},
		"spreadsheet":             {kind: messaging.KindDocument, bytes: zip, declared: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", want: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
		"csv":                     {kind: messaging.KindDocument, bytes: "a,b\n1,2\n", declared: "text/csv", want: "text/csv"},
		"pdf said to be csv":      {kind: messaging.KindDocument, bytes: pdf, declared: "text/csv"},
		"unknown said to be mine": {kind: messaging.KindDocument, bytes: "\x01\x02", declared: "application/x-mine", want: "application/x-mine"},
		"elf said to be pdf":      {kind: messaging.KindDocument, bytes: elf, declared: "application/pdf"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t)
			spooled, err := s.Spool(strings.NewReader(c.bytes), media.MaxBytes)
			if err != nil {
				t.Fatal(err)
			}
			defer spooled.Discard()
			got, wrong := media.Check(c.kind, c.voice, c.declared, spooled.MIME, spooled.Size)
			if refused := len(wrong) > 0; refused != (c.want == "") || !refused && got != c.want {
				t.Errorf("sniffed %q: got %q %v, want %q", spooled.MIME, got, wrong, c.want)
			}
		})
	}
}

func TestEachKindHasItsSize(t *testing.T) {
	for kind, limit := range map[messaging.Kind]int64{
		messaging.KindImage: 16 << 20, messaging.KindVideo: 100 << 20, messaging.KindAudio: 16 << 20,
		messaging.KindDocument: 100 << 20, messaging.KindSticker: 1 << 20,
	} {
		sniffed := map[messaging.Kind]string{
			messaging.KindImage: "image/png", messaging.KindVideo: "video/mp4", messaging.KindAudio: "audio/mpeg",
			messaging.KindDocument: "application/pdf", messaging.KindSticker: "image/webp",
		}[kind]
		if _, wrong := media.Check(kind, false, "", sniffed, limit); wrong != nil {
			t.Errorf("%s of %d bytes: %v", kind, limit, wrong)
		}
		if _, wrong := media.Check(kind, false, "", sniffed, limit+1); len(wrong) != 1 || wrong[0].Rule != "max_bytes" {
			t.Errorf("%s of %d bytes: %v", kind, limit+1, wrong)
		}
	}
}
