package wasim

import "context"

// Phone is the telephone of an account: the device that links others.
type Phone struct{ account *account }

// Phone returns the phone of an account, made when first asked for. It panics
// when the text is no number, which is a mistake in a test.
func (s *Server) Phone(number string) *Phone {
	a := s.account(number)
	if a == nil {
		panic("wasim: not a phone number: " + number)
	}
	return &Phone{a}
}

// Number returns the account's phone number, digits only.
func (p *Phone) Number() string { return p.account.number }

// ScanQR links the client that shows this QR code, which is the text in the
// picture. It returns when the client is linked and told to log in. It returns
// ErrQR, ErrQRUnknown, ErrLinkRefused, ErrLinkLost, ErrDevices or ctx's error.
func (p *Phone) ScanQR(ctx context.Context, qrText string) error {
	code, err := parseQR(qrText)
	if err != nil {
		return err
	}
	c, err := p.account.srv.showing(code)
	if err != nil {
		return err
	}
	return p.account.link(ctx, c, code.secret)
}

// Devices returns the numbers of the linked devices.
func (p *Phone) Devices() []uint16 {
	var ids []uint16
	for _, d := range p.account.companions() {
		ids = append(ids, d.id)
	}
	return ids
}

// Connected reports whether a linked client is logged in now.
func (p *Phone) Connected() bool {
	for _, d := range p.account.companions() {
		if d.connection() != nil {
			return true
		}
	}
	return false
}

// Drop ends the connections of the account's clients without a word.
func (p *Phone) Drop() {
	for _, d := range p.account.companions() {
		if c := d.connection(); c != nil {
			c.drop()
		}
	}
}
