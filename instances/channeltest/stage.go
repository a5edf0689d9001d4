package channeltest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/gateway/gatewaytest"
)

const (
	// patience is how long a story waits for what must happen.
	patience = time.Minute
	// lookEvery is how often it looks.
	lookEvery = 30 * time.Millisecond
	// passEvery is how often it lets time pass while it waits.
	passEvery = 300 * time.Millisecond
)

// name is that of the one instance of a story.
const name = "shop"

// stage is where a story is played: it acts through the API, as a caller does.
type stage struct {
	t     *testing.T
	world World
	api   *gatewaytest.Client
	phone string // of the instance
	since string // the event behind which the story begins
	sent  []sent
}

// sent is a message that the API has accepted.
type sent struct {
	ID          string `json:"id"`
	WAMessageID string `json:"wa_message_id"`
	to          string
}

func newStage(t *testing.T, w World) *stage {
	return &stage{t: t, world: w, api: gatewaytest.NewClient(t, w.URL()), phone: w.Phone()}
}

// call makes a request that must be answered with a status, and reads the data
// of the answer.
func (s *stage) call(method, path, body string, status int, out any) {
	s.t.Helper()
	answer := s.api.Do(s.t, gatewaytest.Request{Method: method, Path: path, Token: s.world.Key(), Body: body})
	if answer.Status != status {
		s.t.Fatalf("%s %s: %d, want %d\n%s", method, path, answer.Status, status, answer.Body)
	}
	envelope := struct {
		Data any `json:"data"`
	}{out}
	if err := json.Unmarshal(answer.Body, &envelope); err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
}

// act asks something of the instance's connection.
func (s *stage) act(act string) {
	s.t.Helper()
	s.call(http.MethodPost, "/v1/instances/"+name+"/"+act, "", http.StatusAccepted, nil)
}

// create makes the instance, without a phone.
func (s *stage) create() {
	s.t.Helper()
	s.call(http.MethodPost, "/v1/instances", fmt.Sprintf(`{"name":%q,"settings":{"pace":{"enabled":false}}%s}`, name, s.world.Unpaired()),
		http.StatusCreated, nil)
}

// ready makes the instance and links it. The story begins here.
func (s *stage) ready() {
	s.t.Helper()
	s.create()
	s.link()
	s.see("instance: created pairing connected")
	s.stands("connected", "", "connected")
	events := s.events()
	s.since = events[len(events)-1].ID
}

// link has the phone scan the QR that the instance shows.
func (s *stage) link() {
	s.t.Helper()
	s.act("connect")
	s.world.Scan(s.t, s.instance().ID, s.phone, s.qr())
}

// qr waits for the text of the QR that the instance shows.
func (s *stage) qr() string {
	s.t.Helper()
	var shown struct{ Code string }
	s.await("a QR is shown", func() bool {
		answer := s.api.Do(s.t, gatewaytest.Request{Method: http.MethodGet, Path: "/v1/instances/" + name + "/qr", Token: s.world.Key()})
		envelope := struct{ Data any }{&shown}
		return answer.Status == http.StatusOK && json.Unmarshal(answer.Body, &envelope) == nil
	})
	return shown.Code
}

// linkByCode has a phone type the code that the instance shows.
func (s *stage) linkByCode(phone string) {
	s.t.Helper()
	var shown struct{ Code string }
	s.call(http.MethodPost, "/v1/instances/"+name+"/pairing-code", fmt.Sprintf(`{"phone":"+%s"}`, phone), http.StatusOK, &shown)
	s.world.Scan(s.t, s.instance().ID, phone, shown.Code)
}

// instanceView is what stories read of an instance.
type instanceView struct {
	ID          string `json:"id"`
	State       string `json:"state"`
	StateReason string `json:"state_reason"`
	Desired     string `json:"desired"`
	Phone       string `json:"phone"`
}

func (s *stage) instance() (i instanceView) {
	s.t.Helper()
	s.call(http.MethodGet, "/v1/instances/"+name, "", http.StatusOK, &i)
	return i
}

// stands waits until the instance stands so: what it is, why, and what its owner
// wants. An event tells of what it is a moment before.
func (s *stage) stands(state, reason, desired string) {
	s.t.Helper()
	want := instanceView{State: state, StateReason: reason, Desired: desired}
	var i instanceView
	defer func() {
		if s.t.Failed() {
			s.t.Logf("the instance is %s (%s), its owner wants %s", i.State, i.StateReason, i.Desired)
		}
	}()
	s.await(fmt.Sprintf("the instance is %s (%s), its owner wants %s", state, reason, desired), func() bool {
		i = s.instance()
		want.ID, want.Phone = i.ID, i.Phone
		return i == want
	})
}

// text sends a text to a contact. More members of the body may follow.
func (s *stage) text(to, text string, more ...string) {
	s.t.Helper()
	s.send(to, append([]string{fmt.Sprintf(`"text":%q`, text)}, more...)...)
}

// send sends a message to a contact: the members of its body but to.
func (s *stage) send(to string, members ...string) {
	s.t.Helper()
	m := sent{to: to}
	body := fmt.Sprintf(`{"to":"+%s",%s}`, to, strings.Join(members, ","))
	s.call(http.MethodPost, "/v1/instances/"+name+"/messages", body, http.StatusAccepted, &m)
	s.sent = append(s.sent, m)
}

// await waits until a condition holds.
func (s *stage) await(what string, holds func() bool) {
	s.t.Helper()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for end := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(end) {
			s.t.Fatalf("did not happen: %s; told:\n%s", what, strings.Join(s.told(), "\n"))
		}
	}
}

// see waits until a line of what was told begins like this one. What was told
// can only grow: a line that cannot become this one fails at once.
func (s *stage) see(line string) {
	s.t.Helper()
	subject, _, _ := strings.Cut(line, ":")
	s.await(line, func() bool {
		for _, told := range s.told() {
			if !strings.HasPrefix(told, subject+":") {
				continue
			}
			if strings.HasPrefix(told+" ", line+" ") {
				return true
			}
			if !strings.HasPrefix(line+" ", told+" ") {
				s.t.Fatalf("told: %s\nwant: %s", told, line)
			}
		}
		return false
	})
}

// seeAfter is see for what a network may take so long for.
func (s *stage) seeAfter(d time.Duration, line string) {
	s.t.Helper()
	passed := time.Time{}
	s.await(line, func() bool {
		if slices.ContainsFunc(s.told(), func(told string) bool { return strings.HasPrefix(told+" ", line+" ") }) {
			return true
		}
		if now := time.Now(); now.Sub(passed) >= passEvery {
			s.world.Pass(s.t, d)
			passed = now
		}
		return false
	})
}

// check waits until exactly these lines have been told, and compares what the
// contacts got with them.
func (s *stage) check(want []string) {
	s.t.Helper()
	var told []string
	for end := time.Now().Add(patience); time.Now().Before(end); <-time.After(lookEvery) {
		if told = s.told(); slices.Equal(told, want) {
			break
		}
	}
	if diff := cmp.Diff(want, told); diff != "" {
		s.t.Fatalf("told (-want +got):\n%s", diff)
	}
	s.checkCarried(told)
}

// checkCarried checks that each message that was delivered is with its contact
// once, in order, and none that was not sent is. What was sent and not delivered
// may be on its way.
func (s *stage) checkCarried(told []string) {
	s.t.Helper()
	want := make(map[string][]string)
	onItsWay := make(map[string]bool)
	for i, m := range s.sent {
		line := lineOf(told, fmt.Sprint(i+1))
		switch {
		case strings.Contains(line, " delivered"):
			want[m.to] = append(want[m.to], m.WAMessageID)
		case strings.Contains(line, " sent"):
			onItsWay[m.WAMessageID] = true
		}
	}
	for _, m := range s.sent {
		got := slices.DeleteFunc(s.world.Carried(s.t, m.to), func(id string) bool { return onItsWay[id] })
		if diff := cmp.Diff(want[m.to], got, cmp.Transformer("some", func(ids []string) string { return strings.Join(ids, " ") })); diff != "" {
			s.t.Errorf("carried to %s (-want +got):\n%s", m.to, diff)
		}
	}
}

func lineOf(lines []string, subject string) string {
	for _, line := range lines {
		if strings.HasPrefix(line, subject+":") {
			return line
		}
	}
	return ""
}
