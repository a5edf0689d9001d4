package wasim_test

import (
	"testing"
	"time"

	"go.mau.fi/whatsmeow"
	"go.uber.org/goleak"

	"portaria/wasim"
)

// The root key is one per process, so it is set here, before the first client.
func TestMain(m *testing.M) {
	whatsmeow.WACertPubKey = wasim.RootKey()
	// Half-open connections are noticed by signs of life alone, which come every half minute otherwise.
	whatsmeow.KeepAliveIntervalMin, whatsmeow.KeepAliveIntervalMax = time.Second, 2*time.Second
	whatsmeow.KeepAliveResponseDeadline = time.Second
	goleak.VerifyTestMain(m,
		// whatsmeow's reader hands frames to a consumer that Disconnect stops first: a frame that
		// arrives at that moment holds its goroutine for ever.
		goleak.IgnoreAnyFunction("go.mau.fi/whatsmeow/socket.(*FrameSocket).frameComplete"),
	)
}
