package channeltest

import "net/http"

// linking are the stories of an instance's connection.
func linking() []story {
	return []story{{
		name: "LinkedByQRAndThroughEveryAct",
		play: actsOfAnOwner,
		want: []string{"instance: created pairing connected disconnected(disconnected_by_owner) connected connected " +
			"logged_out(logged_out_by_owner) pairing connected"},
	}, {
		name: "LinkedByCodeToThePhoneThatTypesIt",
		play: func(s *stage) {
			s.create()
			s.linkByCode(s.phone)
			s.stands("connected", "", "connected")
			if i := s.instance(); i.Phone != s.phone {
				s.t.Errorf("linked to %s, want %s", i.Phone, s.phone)
			}
		},
		want: []string{"instance: created pairing connected"},
	}, {
		name: "PairingThatNobodyScansEnds",
		play: func(s *stage) {
			s.create()
			s.act("connect")
			s.see("instance: created pairing")
			s.seeAfter(pairingEnds, "instance: created pairing disconnected(pairing_timeout)")
			s.stands("created", "pairing_timeout", "connected")
		},
		want: []string{"instance: created pairing disconnected(pairing_timeout)"},
	}, {
		name: "PairingThatItsOwnerGivesUp",
		play: func(s *stage) {
			s.create()
			s.act("connect")
			s.see("instance: created pairing")
			s.act("disconnect")
			s.stands("created", "disconnected_by_owner", "disconnected")
		},
		want: []string{"instance: created pairing disconnected(disconnected_by_owner)"},
	}, {
		name: "SameActTwiceIsOne",
		play: func(s *stage) {
			s.ready()
			s.act("connect")
			s.act("disconnect")
			s.act("disconnect")
			s.see("instance: disconnected(disconnected_by_owner)")
			s.act("connect")
			s.see("instance: disconnected(disconnected_by_owner) connected")
			s.act("connect") // before that, it would make a live connection anew
			s.stands("connected", "", "connected")
		},
		want: []string{"instance: disconnected(disconnected_by_owner) connected"},
	}, {
		name: "NumbersThatExist",
		play: func(s *stage) {
			s.ready()
			s.checkNumbers()
		},
		want: nil,
	}}
}

// actsOfAnOwner goes through all that can be asked of a connection.
func actsOfAnOwner(s *stage) {
	s.create()
	s.stands("created", "", "disconnected")
	s.link()
	s.stands("connected", "", "connected")
	line := "instance: created pairing connected"
	for _, next := range []struct{ act, state, step string }{
		{"disconnect", "disconnected", "disconnected(disconnected_by_owner)"},
		{"connect", "connected", "connected"},
		{"restart", "connected", "connected"},
		{"logout", "logged_out", "logged_out(logged_out_by_owner)"},
	} {
		s.act(next.act)
		line += " " + next.step
		s.see(line)
	}
	s.stands("logged_out", "logged_out_by_owner", "disconnected")
	s.link()
	s.stands("connected", "", "connected")
}

// checkNumbers asks which of two numbers exist.
func (s *stage) checkNumbers() {
	s.t.Helper()
	there, absent := s.world.Contact(s.t, Reads), s.world.Contact(s.t, IsAbsent)
	var found struct {
		Numbers []struct {
			Input  string
			Exists bool
		}
	}
	s.call(http.MethodPost, "/v1/instances/"+name+"/numbers/check", `{"numbers":["+`+there+`","+`+absent+`"]}`, http.StatusOK, &found)
	if len(found.Numbers) != 2 || !found.Numbers[0].Exists || found.Numbers[1].Exists {
		s.t.Errorf("numbers: %+v; want the first to exist", found.Numbers)
	}
}
