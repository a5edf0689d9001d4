package webhooks_test

import (
	"testing"

	"go.uber.org/goleak"

	"portaria/internal/testpg"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(testpg.Around(m)) }
