package whatsapp_test

import (
	"flag"
	"runtime"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"portaria/instances/whatsapp"
	"portaria/wasim"
)

// The root key is one per process, so it is set here, before the first client.
func TestMain(m *testing.M) {
	key := wasim.RootKey()
	whatsapp.Prepare(whatsapp.Process{RootKey: &key})
	if err := flag.Set("test.parallel", strconv.Itoa(4*runtime.GOMAXPROCS(0))); err != nil { // see newWorld
		panic(err)
	}
	goleak.VerifyTestMain(patient{m})
}

// lastHandshake is how long whatsmeow may still wait for a handshake that was
// given up (socket.NoiseHandshakeResponseTimeout is 20 s), and a little more.
const lastHandshake = 25 * time.Second

// patient gives handshakes that were given up the time to end, so that what is
// left then has really leaked.
type patient struct{ *testing.M }

// Run implements goleak.TestingM.
func (p patient) Run() int {
	code := p.M.Run()
	for end := time.Now().Add(lastHandshake); code == 0 && goleak.Find() != nil && time.Now().Before(end); {
		<-time.After(time.Second)
	}
	return code
}
