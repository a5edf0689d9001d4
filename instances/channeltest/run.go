package channeltest

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// story is something that happens to an instance, and what callers see of it.
type story struct {
	name string
	play func(s *stage)
	// want has a line for the instance and for each message, as described at
	// stage.told; what happened before stage.ready returned is left out.
	want []string
}

// Run plays every story on every network, and compares what was seen.
func Run(t *testing.T, networks ...Network) {
	for _, of := range [][]story{linking(), sending(), unread(), waiting(), unlinked(), faulty(), limited(), amending(), acting()} {
		for _, story := range of {
			t.Run(story.name, func(t *testing.T) {
				t.Parallel()
				tell(t, story, networks)
			})
		}
	}
}

// tell plays one story on all networks.
func tell(t *testing.T, story story, networks []Network) {
	var first map[string]any
	for i, network := range networks {
		var seen map[string]any
		done := t.Run(network.Name(), func(t *testing.T) {
			s := newStage(t, network.Open(t))
			story.play(s)
			s.check(story.want)
			seen = s.shapes()
		})
		if !done {
			return
		}
		if i == 0 {
			first = seen
			continue
		}
		if diff := cmp.Diff(plain(t, first), plain(t, seen)); diff != "" {
			t.Errorf("what callers see differs (-%s +%s):\n%s", networks[0].Name(), network.Name(), diff)
		}
	}
}

// plain writes what was seen as text, of which a difference shows the lines
// around it.
func plain(t *testing.T, seen map[string]any) string {
	t.Helper()
	text, err := json.MarshalIndent(seen, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
