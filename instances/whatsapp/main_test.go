package whatsapp_test

import (
	"testing"

	"go.uber.org/goleak"

	"portaria/instances/whatsapp"
	"portaria/wasim"
)

// The root key is one per process, so it is set here, before the first client.
func TestMain(m *testing.M) {
	key := wasim.RootKey()
	whatsapp.Prepare(whatsapp.Process{RootKey: &key})
	goleak.VerifyTestMain(m)
}
