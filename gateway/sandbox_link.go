package gateway

import "portaria/sandbox"

// ScanPath is where the QR of a test instance leads; its token follows.
const ScanPath = "/sandbox/scan/"

// shownQR is the text that a QR shows. That of a test instance is a link, which
// any phone's camera opens: to open it links the simulated phone.
func (s *Server) shownQR(text string) string {
	if token, ok := sandbox.LinkToken(text); ok {
		return s.publicURL() + ScanPath + token
	}
	return text
}
