package wasim_test

import (
	"testing"

	"go.mau.fi/whatsmeow"
	"go.uber.org/goleak"

	"portaria/wasim"
)

// The root key is one per process, so it is set here, before the first client.
func TestMain(m *testing.M) {
	whatsmeow.WACertPubKey = wasim.RootKey()
	goleak.VerifyTestMain(m,
		// whatsmeow's reader hands frames to a consumer that Disconnect stops first: a frame that
		// arrives at that moment holds its goroutine for ever.
		goleak.IgnoreAnyFunction("go.mau.fi/whatsmeow/socket.(*FrameSocket).frameComplete"),
	)
}
