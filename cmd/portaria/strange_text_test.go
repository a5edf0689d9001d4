package main

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"portaria/auth"
	"portaria/gateway/gatewaytest"
	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
)

// PostgreSQL takes neither NUL nor what is not UTF-8, SQLite takes both. On
// either, strange text is refused by name or kept as it came, and is never a
// fault of the server's, in the answer or in what it writes afterwards.
func TestStrangeTextIsNeverAFaultOfTheServer(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		d := newRealDoor(t, s)
		client := gatewaytest.NewClient(t, d.url)
		_, token := d.Mint(t, auth.NewKey{Environment: messaging.Test, Name: "all", Scopes: []string{"*"}, AllInstances: true})
		client.Expect(t, gatewaytest.Request{Method: http.MethodPost, Path: "/v1/instances", Token: token, Body: `{"name":"a"}`}, http.StatusCreated, "")
		for _, value := range []string{"%00", "%ff", "a%00", "%1b[2J", "%c2%85", "%ed%a0%80"} {
			for _, path := range []string{
				"/v1/messages?bulk=", "/v1/messages?instance=", "/v1/messages?status=", "/v1/messages?to=", "/v1/messages?cursor=",
				"/v1/events?instance=", "/v1/events?type=", "/v1/events?after=", "/v1/logs?key=", "/v1/logs?instance=",
				"/v1/sandbox/messages?instance=", "/v1/instances?limit=", "/v1/me?",
			} {
				client.Expect(t, gatewaytest.Request{Method: http.MethodGet, Path: path + value, Token: token}, http.StatusBadRequest, "BAD_REQUEST")
			}
			client.Expect(t, gatewaytest.Request{Method: http.MethodGet, Path: "/v1/messages/" + value, Token: token}, http.StatusNotFound, "NOT_FOUND")
			client.Expect(t, gatewaytest.Request{Method: http.MethodGet, Path: "/v1/instances/" + value, Token: token}, http.StatusNotFound, "INSTANCE_NOT_FOUND")
		}
		for _, body := range []string{
			`{"to":"+15005550006","text":"a\u0000b\u001b"}`, `{"to":"\u0085+15005550006\u2028","text":"a"}`,
			`{"to":"+15005550006","text":"a","metadata":{"\u0000":"\u0000"}}`,
		} {
			client.Expect(t, gatewaytest.Request{Method: http.MethodPost, Path: "/v1/instances/a/messages", Token: token, Body: body}, http.StatusAccepted, "")
		}
		client.Expect(t, gatewaytest.Request{
			Method: http.MethodPost, Path: "/v1/instances/a/messages", Token: token, Body: `{"to":"+15005550006\u0000","text":"a"}`,
		}, http.StatusUnprocessableEntity, "INVALID_RECIPIENT")
	})
}

// One row of the log that a database does not take would cost all the rows that
// are written with it.
func TestStrangeRequestsAreLoggedBesideOthers(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		d := newRealDoor(t, s)
		_, token := d.Mint(t, auth.NewKey{Environment: messaging.Test, Name: "all", Scopes: []string{"*"}, AllInstances: true})
		host := strings.TrimPrefix(d.url, "http://")
		for _, head := range []string{
			"GET /v1/instances/\xff HTTP/1.1", "GET /v1/me HTTP/1.1\r\nUser-Agent: a\x00b", "GET /v1/me HTTP/1.1\r\nUser-Agent: \xff",
			"G\x00T /v1/me HTTP/1.1", "G\xffT /v1/me HTTP/1.1",
			"GET /v1/me HTTP/1.1\r\nX-Request-Id: \x00\xff", "GET /v1/me HTTP/1.1\r\nX-Forwarded-For: \x00", "GET /v1/me HTTP/1.1",
		} {
			speak(t, host, head+"\r\nHost: x\r\nAuthorization: Bearer "+token+"\r\nConnection: close\r\n\r\n")
		}
		tenancy := messaging.NewTenancy(d.workspace, messaging.Test, messaging.AllInstances())
		waitUntil(t, patience, func() bool {
			rows, err := s.RequestLogs(t.Context(), tenancy, messaging.LogFilter{Status: http.StatusOK}, messaging.Page{Limit: 10})
			return err == nil && len(rows) > 0
		})
	})
}

// speak sends bytes as they are and reads until the server hangs up. The answer
// must not be a fault of the server's.
func speak(t *testing.T, host, request string) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 ") || strings.HasPrefix(string(answer), "HTTP/1.1 5") {
		t.Errorf("%s was answered %q, %v", url.QueryEscape(request[:20]), answer, err)
	}
}
