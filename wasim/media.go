package wasim

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
)

const (
	// mediaHost is where clients are told to upload to and download from.
	mediaHost = "mmg.whatsapp.net"
	// mediaTimeout bounds one upload or download.
	mediaTimeout = 2 * time.Minute
	// mediaQuery ends every direct path: clients append "&hash=…" to it
	// without looking whether there is a query.
	mediaQuery = "?ccb=11-4"
)

// mediaIQs tell clients where media goes.
func mediaIQs() map[iqKey]iqHandler {
	return map[iqKey]iqHandler{{"w:m", "set", "media_conn"}: mediaConn}
}

func mediaConn(*conn, *waBinary.Node) ([]waBinary.Node, error) {
	return []waBinary.Node{{
		Tag:     "media_conn",
		Attrs:   waBinary.Attrs{"auth": mediaAuth(), "ttl": "300", "auth_ttl": "21600", "max_buckets": "12"},
		Content: []waBinary.Node{{Tag: "host", Attrs: waBinary.Attrs{"hostname": mediaHost}}},
	}}, nil
}

// mediaAuth is what an upload must show. Like the keys it is equal in every
// process: clients keep it for minutes and may outlive the simulator.
func mediaAuth() string {
	s := seed("media auth")
	return hex.EncodeToString(s[:])
}

// mediaRoutes adds the addresses of uploads and downloads.
func (s *Server) mediaRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST /mms/{kind}/{token}", s.uploadMedia)
	mux.HandleFunc("DELETE /mms/{kind}/{token}", s.deleteMedia)
	mux.HandleFunc("GET /v/{kind}/{token}", s.downloadMedia)
}

// isMediaKind reports whether clients upload under this kind.
func isMediaKind(kind string) bool {
	switch kind {
	case "image", "video", "audio", "document", "ptt", "sticker", "gif",
		"sticker-pack", "thumbnail-link", "md-msg-hist", "md-app-state":
		return true
	default:
		return false
	}
}

// parseMediaToken reads the name of a file as it is written in addresses.
func parseMediaToken(token string) (name mediaName, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimRight(token, "="))
	if err != nil || len(raw) != len(name) {
		return name, false
	}
	return mediaName(raw), true
}

// parseDirectPath reads the name of a file from what a message says about it.
func parseDirectPath(path string) (name mediaName, ok bool) {
	path, _, _ = strings.Cut(path, "?")
	rest, ok := strings.CutPrefix(path, "/v/")
	kind, token, found := strings.Cut(rest, "/")
	if !ok || !found || !isMediaKind(kind) {
		return name, false
	}
	return parseMediaToken(token)
}

func directPath(kind string, name mediaName) string {
	return "/v/" + kind + "/" + base64.RawURLEncoding.EncodeToString(name[:]) + mediaQuery
}

// mediaRequest reads which file a request is about, waits out the round trip
// and asks the fault plan. It reports false when the request is answered.
func (s *Server) mediaRequest(w http.ResponseWriter, r *http.Request) (name mediaName, ok bool) {
	deadline := time.Now().Add(mediaTimeout)
	control := http.NewResponseController(w)
	if err := errors.Join(control.SetReadDeadline(deadline), control.SetWriteDeadline(deadline)); err != nil {
		s.log.Debug("media request without a deadline", "error", err)
	}
	if !waitUntil(r.Context(), s.due()) {
		return name, false
	}
	if status := s.mediaFault(r.Method, r.PathValue("kind")); status != 0 {
		http.Error(w, http.StatusText(status), status)
		return name, false
	}
	name, ok = parseMediaToken(r.PathValue("token"))
	if !ok || !isMediaKind(r.PathValue("kind")) {
		http.Error(w, "no such media", http.StatusNotFound)
		return name, false
	}
	return name, true
}

// mayChange reports whether a request shows what media_conn has given out.
func mayChange(w http.ResponseWriter, r *http.Request) bool {
	if subtle.ConstantTimeCompare([]byte(r.URL.Query().Get("auth")), []byte(mediaAuth())) == 1 {
		return true
	}
	http.Error(w, "not authorised", http.StatusUnauthorized)
	return false
}

func (s *Server) uploadMedia(w http.ResponseWriter, r *http.Request) {
	name, ok := s.mediaRequest(w, r)
	if !ok || !mayChange(w, r) {
		return
	}
	if r.ContentLength > maxMedia {
		http.Error(w, errMediaLarge.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	if err := s.media.keep(name, r.Body); err != nil {
		s.log.Info("upload refused", "kind", r.PathValue("kind"), "error", err)
		http.Error(w, "not taken", uploadStatus(err))
		return
	}
	path := directPath(r.PathValue("kind"), name)
	w.Header().Set("Content-Type", "application/json")
	answer := map[string]string{
		"url":         "https://" + mediaHost + path,
		"direct_path": path,
		"handle":      "wasim-" + hex.EncodeToString(name[:8]),
		"object_id":   hex.EncodeToString(name[:]),
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		s.log.Debug("upload not answered", "error", err)
	}
}

func uploadStatus(err error) int {
	switch {
	case errors.Is(err, errMediaLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, errMediaFull):
		return http.StatusInsufficientStorage
	case errors.Is(err, errMediaClosed):
		return http.StatusServiceUnavailable
	default: // the name is wrong, or the body was cut off
		return http.StatusBadRequest
	}
}

func (s *Server) downloadMedia(w http.ResponseWriter, r *http.Request) {
	name, ok := s.mediaRequest(w, r)
	if !ok {
		return
	}
	file, err := s.media.open(name)
	if err != nil {
		http.Error(w, "gone", http.StatusNotFound)
		return
	}
	defer file.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, file)
}

// deleteMedia is a client that has done with a history of messages.
func (s *Server) deleteMedia(w http.ResponseWriter, r *http.Request) {
	name, ok := s.mediaRequest(w, r)
	if !ok || !mayChange(w, r) {
		return
	}
	if err := s.media.remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		s.log.Warn("media cannot be removed", "error", err)
	}
	w.WriteHeader(http.StatusNoContent)
}
