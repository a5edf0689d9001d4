package bulk_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"portaria/internal/testpg"
)

func TestMain(m *testing.M) {
	if err := setSize(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(testpg.Around(m))
}
