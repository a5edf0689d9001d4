package store_test

import (
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
)

// Whoever reports must be able to tell what will never be recorded from what
// waits for the database. Else one row that it refuses keeps back all that come
// after it.
func TestWhatIsRefusedForWhatItSaysIsToldApart(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		i := storetest.Instance(t, s, storetest.Workspace(t, s, "w"), "one")
		call := func(id string, at time.Time) messaging.Record {
			return messaging.CallReceived{
				WorkspaceID: i.WorkspaceID, Environment: i.Environment, InstanceID: i.ID, Call: messaging.Call{ID: id, At: at},
			}
		}
		for name, record := range map[string]messaging.Record{
			"invalid UTF-8": call("a\xff", time.Now()),
			"no such year":  call("b", time.Date(99999, 1, 1, 0, 0, 0, 0, time.UTC)),
		} {
			if err := s.Report(t.Context(), record); !errors.Is(err, messaging.ErrUnrecordable) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := s.Report(t.Context(), call("c", time.Now())); err != nil {
			t.Errorf("a good one behind them: %v", err)
		}
	})
}

// PostgreSQL takes no NUL, and no long text into an index.
func TestPostgresTellsWhatItNeverTakes(t *testing.T) {
	s := storetest.Open(t, storetest.Options(t, "postgres"))
	i := storetest.Instance(t, s, storetest.Workspace(t, s, "w"), "one")
	random := make([]byte, 20000)                   // what repeats itself is compressed, and fits
	_, _ = rand.NewChaCha8([32]byte{}).Read(random) // it never fails
	long := base64.StdEncoding.EncodeToString(random)
	for name, id := range map[string]string{"NUL": "a\x00", "too long": long} {
		err := s.Report(t.Context(), messaging.CallReceived{
			WorkspaceID: i.WorkspaceID, Environment: i.Environment, InstanceID: i.ID, Call: messaging.Call{ID: id, At: time.Now()},
		})
		if !errors.Is(err, messaging.ErrUnrecordable) {
			t.Errorf("%s: %v", name, strings.ReplaceAll(errorText(err), id, "…"))
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return "recorded"
	}
	return err.Error()
}
