package whatsapp

import (
	"fmt"
	"log/slog"
	"regexp"

	waLog "go.mau.fi/whatsmeow/util/log"
)

// maxLogBytes is how much of a foreign message is logged: whatsmeow prints whole
// stanzas at times.
const maxLogBytes = 300

// clientLog passes on what whatsmeow says. Its errors are warnings of ours: the
// faults that matter are logged, or recorded, where they are handled. What it
// says below that level holds names, numbers and codes, and is dropped.
type clientLog struct{ log *slog.Logger }

var _ waLog.Logger = clientLog{}

// Errorf implements waLog.Logger.
func (l clientLog) Errorf(format string, args ...any) {
	l.log.Warn("whatsmeow", "text", shorten(fmt.Sprintf(format, args...)))
}

// Warnf implements waLog.Logger.
func (l clientLog) Warnf(format string, args ...any) {
	l.log.Debug("whatsmeow", "text", shorten(fmt.Sprintf(format, args...)))
}

// Infof implements waLog.Logger.
func (l clientLog) Infof(string, ...any) {}

// Debugf implements waLog.Logger.
func (l clientLog) Debugf(string, ...any) {}

// Sub implements waLog.Logger.
func (l clientLog) Sub(string) waLog.Logger { return l }

// longNumber is what may be somebody's phone number.
var longNumber = regexp.MustCompile(`[0-9]{4,}([0-9]{4})`)

// shorten makes a foreign text fit to be logged: not too long, and without whole
// phone numbers.
func shorten(text string) string {
	if len(text) > maxLogBytes {
		text = text[:maxLogBytes] + "…"
	}
	return longNumber.ReplaceAllString(text, "…$1")
}
