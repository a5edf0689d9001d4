package media

import (
	"bytes"
	"mime"
	"slices"
	"strings"

	"github.com/gabriel-vasile/mimetype"

	"portaria/internal/fault"
	"portaria/messaging"
)

const (
	anyType   = "application/octet-stream"
	oggOpus   = "audio/ogg; codecs=opus"
	webp      = "image/webp"
	stickerMB = 1
)

// rule is what a kind of message takes.
type rule struct {
	types []string // nil: any
	mib   int64
}

// rules are what WhatsApp's own clients take. A document is anything.
func ruleOf(kind messaging.Kind) rule {
	switch kind { //nolint:exhaustive // the others have no file
	case messaging.KindImage:
		return rule{[]string{"image/jpeg", "image/png", webp}, 16}
	case messaging.KindVideo:
		return rule{[]string{"video/mp4", "video/3gpp"}, 100}
	case messaging.KindAudio:
		return rule{[]string{"audio/ogg", "audio/mpeg", "audio/mp4", "audio/aac", "audio/amr"}, 16}
	case messaging.KindSticker:
		return rule{[]string{webp}, stickerMB}
	default:
		return rule{nil, MaxBytes >> 20}
	}
}

// MaxOf is the size of the largest file that a kind of message takes.
func MaxOf(kind messaging.Kind) int64 { return ruleOf(kind).mib << 20 }

// Check finds out whether a file can be a message of a kind: sniffed is what its
// bytes are, declared what the caller says; empty when he does not. It returns
// the type that the message has, or what is wrong, in the fields of a media
// object.
func Check(kind messaging.Kind, voice bool, declared, sniffed string, size int64) (string, fault.Fields) {
	var wrong fault.Fields
	r := ruleOf(kind)
	if size > r.mib<<20 {
		wrong.Add("", "max_bytes", "is larger than a file of this type may be")
	}
	is, ok := agree(kind, declared, sniffed)
	switch {
	case !ok:
		wrong.Add("mime_type", "media_type", "is not what the file's bytes are")
	case voice && !strings.HasPrefix(is, "audio/ogg"):
		wrong.Add("voice", "media_type", "is for Ogg files with Opus sound only")
	case r.types != nil && !slices.Contains(r.types, essence(is)):
		wrong.Add("", "media_type", "must be one of: "+strings.Join(r.types, ", "))
	}
	return is, wrong
}

// Declared returns the type that a sender declares; false when the bytes say
// otherwise or nothing was declared.
func (s *Spooled) Declared(declared string) (string, bool) {
	if essence(declared) == "" {
		return "", false
	}
	return agree(messaging.KindDocument, declared, s.MIME)
}

// agree returns the more telling of two types; false when they exclude each
// other. One that is silent agrees with everything.
func agree(kind messaging.Kind, declared, sniffed string) (string, bool) {
	said := essence(declared)
	if kind == messaging.KindAudio && essence(sniffed) == "video/mp4" {
		sniffed = "audio/mp4" // the container does not say whether there are pictures
	}
	found := essence(sniffed)
	switch {
	case said == "", said == anyType, said == found:
		return sniffed, true
	case found == anyType:
		// Nothing is known of the bytes. Sound can begin with anything; pictures
		// have their marks.
		return said, !strings.HasPrefix(said, "image/") && !strings.HasPrefix(said, "video/")
	case isA(found, said):
		return sniffed, true
	case isA(said, found), strings.HasPrefix(said, "text/") && found == "text/plain":
		return said, true
	}
	return "", false
}

// isA reports whether a type is another one, under whichever name, or a special
// case of it: a spreadsheet is a ZIP file.
func isA(special, general string) bool {
	for m := mimetype.Lookup(special); m != nil; m = m.Parent() {
		if m.Is(general) {
			return !m.Is(anyType)
		}
	}
	return false
}

// essence is a type without its parameters, in lower case; empty when it is none.
func essence(s string) string {
	if s == "" {
		return ""
	}
	media, _, err := mime.ParseMediaType(s)
	if err != nil || !strings.Contains(media, "/") {
		return ""
	}
	switch media {
	case "image/jpg":
		return "image/jpeg"
	case "audio/mp3":
		return "audio/mpeg"
	case "audio/opus", "application/ogg":
		return "audio/ogg"
	case "audio/x-m4a", "audio/m4a":
		return "audio/mp4"
	}
	return media
}

// ValidType reports whether a text is a media type at all.
func ValidType(s string) bool { return len(s) <= 127 && essence(s) != "" }

// sniff says what bytes are.
func sniff(head []byte) string {
	found := mimetype.Detect(head)
	is := essence(found.String())
	switch {
	case is == "":
		return anyType
	case (is == "audio/ogg" || is == "video/ogg") && bytes.Contains(head[:min(len(head), 64)], []byte("OpusHead")):
		return oggOpus // the parameter is what makes phones show it as a voice note
	case is == "text/plain":
		return found.String() // with its charset
	}
	return is
}
