package channeltest

import "net/http"

// waiting are the stories of messages of an instance that is not connected.
func waiting() []story {
	return []story{{
		name: "WaitsUntilTheOwnerConnectsAgain",
		play: func(s *stage) {
			s.disconnected()
			to := s.world.Contact(s.t, Reads)
			s.text(to, "one")
			s.text(to, "two")
			s.act("connect")
		},
		want: []string{
			"instance: disconnected(disconnected_by_owner) connected",
			"1: queued sent delivered read", "2: queued sent delivered read",
		},
	}, {
		name: "SentOnceThroughARestart",
		play: func(s *stage) {
			s.ready()
			to := s.world.Contact(s.t, Reads)
			s.text(to, "before")
			s.text(to, "before, too")
			s.act("restart")
			s.text(to, "after")
			s.see("instance: connected")
			s.stands("connected", "", "connected")
		},
		want: []string{
			"instance: connected",
			"1: queued sent delivered read", "2: queued sent delivered read", "3: queued sent delivered read",
		},
	}, {
		name: "CanceledWhileItWaits",
		play: func(s *stage) {
			s.disconnected()
			s.text(s.world.Contact(s.t, Reads), "never mind")
			s.cancel(0)
			s.act("connect")
			s.andLater()
		},
		want: []string{
			"instance: disconnected(disconnected_by_owner) connected",
			"1: queued canceled(CANCELED)", "2: queued sent delivered read",
		},
	}, {
		name: "ExpiredWhileItWaits",
		play: func(s *stage) {
			s.disconnected()
			s.text(s.world.Contact(s.t, Reads), "too late", `"expires_in":"1s"`)
			s.see("1: queued expired(EXPIRED_IN_QUEUE)")
			s.act("connect")
			s.andLater()
		},
		want: []string{
			"instance: disconnected(disconnected_by_owner) connected",
			"1: queued expired(EXPIRED_IN_QUEUE)", "2: queued sent delivered read",
		},
	}}
}

// unlinked are the stories of messages of an instance without a phone.
func unlinked() []story {
	return []story{{
		name: "WaitsThroughALogoutForTheSamePhone",
		play: func(s *stage) {
			s.ready()
			s.act("logout")
			s.stands("logged_out", "logged_out_by_owner", "disconnected")
			s.text(s.world.Contact(s.t, Reads), "hello")
			s.link()
		},
		want: []string{
			"instance: logged_out(logged_out_by_owner) pairing connected",
			"1: queued sent delivered read",
		},
	}, {
		name: "FailsWhenAnotherPhoneIsLinked",
		play: func(s *stage) {
			s.ready()
			s.act("logout")
			s.stands("logged_out", "logged_out_by_owner", "disconnected")
			s.text(s.world.Contact(s.t, Reads), "from the phone before")
			s.linkByCode(s.world.Phone())
			s.see("1: queued failed(INSTANCE_LOGGED_OUT)")
			s.andLater()
		},
		want: []string{
			"instance: logged_out(logged_out_by_owner) pairing connected",
			"1: queued failed(INSTANCE_LOGGED_OUT)", "2: queued sent delivered read",
		},
	}, {
		name: "UnlinkedOnThePhoneDuringASend",
		play: func(s *stage) {
			s.ready()
			s.text(s.world.Contact(s.t, LogsOut), "hello")
			s.see("instance: logged_out(device_removed)")
			s.stands("logged_out", "device_removed", "connected")
			s.text(s.world.Contact(s.t, Reads), "waits too")
			s.link()
			s.see("1: queued sent delivered read")
			s.attempted(0, 2)
		},
		want: []string{
			"instance: logged_out(device_removed) pairing connected",
			"1: queued sent delivered read", "2: queued sent delivered read",
		},
	}, {
		name: "CanceledWithAnInstanceThatWasNeverLinked",
		play: func(s *stage) {
			s.create()
			s.text(s.world.Contact(s.t, Reads), "hello")
			s.call(http.MethodDelete, "/v1/instances/"+name, "", http.StatusOK, nil)
		},
		want: []string{
			"instance: created deleted",
			"1: queued canceled(CANCELED)",
		},
	}}
}

// disconnected makes an instance that is linked, and that its owner does not want
// to be connected.
func (s *stage) disconnected() {
	s.t.Helper()
	s.ready()
	s.act("disconnect")
	s.see("instance: disconnected(disconnected_by_owner)")
	s.stands("disconnected", "disconnected_by_owner", "disconnected")
}

// cancel cancels the message that was sent in this place.
func (s *stage) cancel(i int) {
	s.t.Helper()
	s.call(http.MethodPost, "/v1/messages/"+s.sent[i].ID+"/cancel", "", http.StatusOK, nil)
}
