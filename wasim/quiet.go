package wasim

import (
	"fmt"
	"sync"

	"go.mau.fi/libsignal/logger"
)

// quietLibsignal keeps the Signal library from printing to standard output
// what is no news to us: a message that cannot be decrypted is a case that
// wasim plays, and it is in our own log. The library's logger is one per
// process and is set without a lock, hence once and before any use. A logger
// that the program has set itself is left alone.
var quietLibsignal = sync.OnceFunc(func() {
	const theirDefault = "*logger.defaultLogger"
	if current := logger.Logger; current == nil || fmt.Sprintf("%T", current) == theirDefault {
		var silent logger.Loggable = silence{}
		logger.Setup(&silent)
	}
})

// silence is a logger of the Signal library that says nothing.
type silence struct{}

// Debug implements logger.Loggable.
func (silence) Debug(string, string) {}

// Info implements logger.Loggable.
func (silence) Info(string, string) {}

// Warning implements logger.Loggable.
func (silence) Warning(string, string) {}

// Error implements logger.Loggable.
func (silence) Error(string, string) {}

// Configure implements logger.Loggable.
func (silence) Configure(string) {}
