package channeltest

import (
	"fmt"
	"net/http"

	"portaria/gateway/gatewaytest"
)

// amending are the stories of messages that are changed after they were sent.
func amending() []story {
	return []story{{
		name: "EditedAndThenDeleted",
		play: func(s *stage) {
			s.ready()
			s.text(s.world.Contact(s.t, Reads), "helo")
			s.see("1: queued sent delivered read")
			for range 2 { // a repeat is harmless
				s.expect(http.MethodPatch, s.path(0), `{"text":"hello"}`, http.StatusOK, "")
			}
			for range 2 {
				s.expect(http.MethodDelete, s.path(0), "", http.StatusOK, "")
			}
			s.expect(http.MethodPatch, s.path(0), `{"text":"too late"}`, http.StatusConflict, "CONFLICT")
		},
		want: []string{"1: queued sent delivered read edited revoked"},
	}, {
		name: "CaptionsAreEdited",
		play: func(s *stage) {
			s.ready()
			s.send(s.world.Contact(s.t, Reads), `"image":{"base64":"`+pixel+`"}`, `"caption":"a pixl"`)
			s.see("1: queued sent delivered read")
			s.expect(http.MethodPatch, s.path(0), `{"text":"a pixel"}`, http.StatusUnprocessableEntity, "VALIDATION_FAILED")
			s.expect(http.MethodPatch, s.path(0), `{"caption":"a pixel"}`, http.StatusOK, "")
		},
		want: []string{"1: queued sent delivered read edited"},
	}}
}

// acting are the stories of what else is done in chats, and of when nothing can
// be done.
func acting() []story {
	return []story{{
		name: "TypingAndReading",
		play: func(s *stage) {
			s.ready()
			to := s.world.Contact(s.t, Answers)
			for _, state := range []string{"typing", "recording", "paused"} {
				s.expect(http.MethodPost, instancePath+"/typing", fmt.Sprintf(`{"to":"+%s","state":%q}`, to, state), http.StatusOK, "")
			}
			s.text(to, "hello")
			answer := s.inbound(1)
			s.expect(http.MethodPost, instancePath+"/read", fmt.Sprintf(`{"message_ids":[%q]}`, answer), http.StatusOK, "")
			s.expect(http.MethodPost, instancePath+"/read", fmt.Sprintf(`{"message_ids":[%q]}`, s.sent[0].ID), http.StatusUnprocessableEntity, "VALIDATION_FAILED")
			s.expect(http.MethodDelete, "/v1/messages/"+answer, "", http.StatusConflict, "CONFLICT")
			nobody := s.world.Contact(s.t, IsAbsent)
			s.expect(http.MethodPost, instancePath+"/typing", fmt.Sprintf(`{"to":"+%s","state":"typing"}`, nobody), http.StatusConflict, "REFUSED_BY_NETWORK")
		},
		want: []string{"1: queued sent delivered read", "in 1: received"},
	}, {
		name: "NothingIsDoneWithoutAConnection",
		play: func(s *stage) {
			s.ready()
			to := s.world.Contact(s.t, Reads)
			s.text(to, "hello")
			s.see("1: queued sent delivered read")
			s.act("disconnect")
			s.stands("disconnected", "disconnected_by_owner", "disconnected")
			for _, r := range []struct{ method, path, body string }{
				{http.MethodPatch, s.path(0), `{"text":"hello again"}`},
				{http.MethodDelete, s.path(0), ""},
				{http.MethodPost, instancePath + "/typing", fmt.Sprintf(`{"to":"+%s","state":"typing"}`, to)},
			} {
				s.expect(r.method, r.path, r.body, http.StatusConflict, "INSTANCE_NOT_CONNECTED")
			}
			s.text(to, "later")
			s.expect(http.MethodDelete, s.path(1), "", http.StatusConflict, "CONFLICT")
		},
		want: []string{"instance: disconnected(disconnected_by_owner)", "1: queued sent delivered read", "2: queued"},
	}}
}

// instancePath is where a story's instance is.
const instancePath = "/v1/instances/" + name

// path is where a message is that was sent, by its place.
func (s *stage) path(i int) string { return "/v1/messages/" + s.sent[i].ID }

// expect makes a request that must be answered with a status and a code.
func (s *stage) expect(method, path, body string, status int, code string) {
	s.t.Helper()
	s.api.Expect(s.t, gatewaytest.Request{Method: method, Path: path, Token: s.world.Key(), Body: body}, status, code)
}
