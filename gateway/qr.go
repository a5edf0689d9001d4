package gateway

import (
	"context"
	"encoding/base64"

	"portaria/instances"
	"portaria/internal/qrcode"
	"portaria/messaging"
)

// qrForms are the forms of a pairing's QR beside JSON, the usual one of each
// kind first. Nobody writes to it.
var qrForms = []string{formPNG, formSVG, formText, formEvents}

// pngScale is how many pixels wide a module of the PNG is: a WhatsApp code
// becomes some 400 pixels wide.
const pngScale = 6

// qrView is a QR to be scanned.
type qrView struct {
	Code      string                  `json:"code" description:"The text of the QR, for callers who draw it themselves. Of a test instance it is a link: whoever opens it is the simulated phone."`
	PNG       string                  `json:"png" description:"The picture as a data URI."`
	ExpiresAt timestamp               `json:"expires_at" description:"When the next code takes its place."`
	State     messaging.InstanceState `json:"state" enum:"created,pairing,connecting,connected,disconnected,logged_out,restricted,banned"`
}

// pairingEndView is why a pairing ended without a phone.
type pairingEndView struct {
	State  messaging.InstanceState `json:"state"`
	Reason nullable                `json:"state_reason"`
}

// instanceQR shows the QR of a pairing, in the form that the caller prefers.
func (s *Server) instanceQR(ctx context.Context, call *Call, _ nothing) (formed[qrView], error) {
	pairing, err := s.connections.Pairing(ctx, call.Tenancy, call.InstanceID)
	if err != nil {
		return formed[qrView]{}, err
	}
	if pairing.QR == "" {
		return formed[qrView]{}, instances.ErrNotPairing.Saying(
			"The instance is being paired by a code; connect it again to pair by QR.")
	}
	pairing.QR = s.shownQR(pairing.QR)
	mediaType := call.Prefers(qrForms...)
	if mediaType == formEvents {
		stream, err := s.streamQR(call)
		return formed[qrView]{other: stream}, err
	}
	return drawQR(pairing, mediaType)
}

// drawQR draws a QR in one form.
func drawQR(pairing messaging.Pairing, mediaType string) (formed[qrView], error) {
	code, err := qrcode.New(pairing.QR)
	if err != nil {
		return formed[qrView]{}, err
	}
	drawn := form{mediaType: mediaType}
	switch mediaType {
	case formPNG:
		drawn.body, err = code.PNG(pngScale)
	case formSVG:
		drawn.body = code.SVG()
	case formText:
		drawn.mediaType, drawn.body = formText+"; charset=utf-8", []byte(code.Blocks())
	default:
		view, err := viewQR(pairing, messaging.InstancePairing)
		return formed[qrView]{Data: view}, err
	}
	return formed[qrView]{other: &drawn}, err
}

// viewQR shows a QR as JSON.
func viewQR(pairing messaging.Pairing, state messaging.InstanceState) (qrView, error) {
	code, err := qrcode.New(pairing.QR)
	if err != nil {
		return qrView{}, err
	}
	picture, err := code.PNG(pngScale)
	return qrView{
		Code: pairing.QR, PNG: "data:image/png;base64," + base64.StdEncoding.EncodeToString(picture),
		ExpiresAt: timestamp(pairing.ExpiresAt), State: state,
	}, err
}

// streamQR tells of every new code, and then of the end: connected with the
// instance, or failed.
func (s *Server) streamQR(call *Call) (*form, error) {
	tenancy, id, recheck := call.Tenancy, call.InstanceID, call.Recheck()
	return call.stream(pairingLife, func(ctx context.Context, out *events) error {
		shown := ""
		return s.followPairing(ctx, tenancy, id, func(m *pairingMoment) (done bool, err error) {
			if err := recheck(ctx); err != nil {
				return true, err
			}
			switch {
			case m.connected():
				return true, out.send("connected", s.viewInstance(m.instance))
			case m.over():
				return true, out.send("failed", pairingEndView{m.instance.State, nullable(m.instance.StateReason)})
			case m.pairing.QR == "" || m.pairing.QR == shown:
				return false, out.beat()
			}
			shown = m.pairing.QR
			m.pairing.QR = s.shownQR(shown)
			view, err := viewQR(m.pairing, m.instance.State)
			if err != nil {
				return true, err
			}
			return false, out.send("qr", view)
		})
	})
}
