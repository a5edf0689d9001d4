package whatsapp

import (
	"log/slog"

	"go.mau.fi/libsignal/logger"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waCompanionReg"
	"go.mau.fi/whatsmeow/store"
)

// deviceName is what a phone's list of linked devices shows.
const deviceName = "Portaria"

// Process is what whatsmeow and libsignal keep once for a whole process.
type Process struct {
	// RootKey stands in for the key that WhatsApp's servers are known by; nil:
	// WhatsApp's own.
	RootKey *[32]byte
	Logger  *slog.Logger // nil: libsignal's complaints are dropped
}

// Prepare sets what is kept once for the process. It must be called before the
// first channel is opened, and not while one is open.
func Prepare(p Process) {
	if p.RootKey != nil {
		whatsmeow.WACertPubKey = *p.RootKey
	}
	if p.Logger == nil {
		p.Logger = slog.New(slog.DiscardHandler)
	}
	name, platform := deviceName, waCompanionReg.DeviceProps_DESKTOP
	store.DeviceProps.Os = &name
	store.DeviceProps.PlatformType = &platform
	var signal logger.Loggable = signalLog{p.Logger}
	logger.Setup(&signal)
}

// signalLog keeps libsignal from printing. What it complains of, whatsmeow
// handles and reports again.
type signalLog struct{ log *slog.Logger }

func (l signalLog) Debug(_, _ string)  {}
func (l signalLog) Info(_, _ string)   {}
func (l signalLog) Configure(_ string) {}
func (l signalLog) Warning(caller, text string) {
	l.log.Debug("signal", "caller", caller, "text", shorten(text))
}

func (l signalLog) Error(caller, message string) {
	l.log.Debug("signal", "caller", caller, "text", shorten(message))
}
