package channeltest

import (
	"fmt"
	"net/http"
)

// faulty are the stories of networks that do not do what they should.
func faulty() []story {
	return []story{{
		name: "NumberThatIsNotOnWhatsApp",
		play: func(s *stage) {
			s.ready()
			s.text(s.world.Contact(s.t, IsAbsent), "hello")
		},
		want: []string{"1: queued failed(NOT_ON_WHATSAPP)"},
	}, {
		name: "TemporaryFaultIsTriedAgain",
		play: func(s *stage) {
			s.ready()
			s.text(s.world.Contact(s.t, Stutters), "hello")
			s.seeAfter(triedAgain, "1: queued sent")
			s.attempted(0, 3)
		},
		want: []string{"1: queued sent delivered read"},
	}, {
		name: "TemporaryFaultIsPassedByOthers",
		play: func(s *stage) {
			s.ready()
			to := s.world.Contact(s.t, Stutters)
			s.text(to, "one")
			s.text(to, "two")
			s.text(s.world.Contact(s.t, Reads), "passes")
			s.see("3: queued sent delivered read")
			s.seeAfter(triedAgain, "2: queued sent")
		},
		want: []string{"1: queued sent delivered read", "2: queued sent delivered read", "3: queued sent delivered read"},
	}, {
		name: "ConnectionLostDuringASend",
		play: func(s *stage) {
			s.ready()
			s.text(s.world.Contact(s.t, Drops), "hello")
			s.see("1: queued sent delivered read")
			s.attempted(0, 2)
			s.stands("connected", "", "connected")
		},
		want: []string{
			"instance: disconnected(connection_lost) connected",
			"1: queued sent delivered read",
		},
	}}
}

// limited are the stories of networks that do not let everybody write.
func limited() []story {
	return []story{{
		name: "ThrottledForGood",
		play: func(s *stage) {
			s.ready()
			s.text(s.world.Contact(s.t, Throttles), "hello")
			s.see("1: queued failed(PROVIDER_THROTTLED)")
			s.andLater()
		},
		want: []string{"1: queued failed(PROVIDER_THROTTLED)", "2: queued sent delivered read"},
	}, {
		name: "LockHoldsStrangersAndNotAcquaintances",
		play: func(s *stage) {
			s.ready()
			friend := s.world.Contact(s.t, Answers)
			s.text(friend, "hello")
			s.see("in 1: received")
			s.text(s.world.Contact(s.t, Locks), "hello stranger")
			s.see("2: queued held(REACHOUT_TIMELOCKED)")
			s.text(friend, "hello again")
			s.see("3: queued sent delivered read")
			s.seeAfter(lockEnds, "2: queued held(REACHOUT_TIMELOCKED) sent")
		},
		want: []string{
			"1: queued sent delivered read", "2: queued held(REACHOUT_TIMELOCKED) sent delivered read", "3: queued sent delivered read",
			"in 1: received", "in 2: received",
		},
	}, {
		name: "CanceledWhileItIsHeld",
		play: func(s *stage) {
			s.ready()
			s.text(s.world.Contact(s.t, Locks), "hello stranger")
			s.see("1: queued held(REACHOUT_TIMELOCKED)")
			s.cancel(0)
		},
		want: []string{"1: queued held(REACHOUT_TIMELOCKED) canceled(CANCELED)"},
	}}
}

// attempted waits until the message that was sent in this place says that it
// was tried so often. The contact's receipt can be recorded before the report of
// the try that it answers.
func (s *stage) attempted(i, times int) {
	s.t.Helper()
	s.await(fmt.Sprintf("message %d: %d attempts", i+1, times), func() bool {
		var m struct{ Attempts int }
		s.call(http.MethodGet, "/v1/messages/"+s.sent[i].ID, "", http.StatusOK, &m)
		if m.Attempts > times {
			s.t.Fatalf("%d attempts, want %d", m.Attempts, times)
		}
		return m.Attempts == times
	})
}
