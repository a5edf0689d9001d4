// Package pace says when a number may send next: how far apart, how many in an
// hour and a day, and at what time of day. It knows rules and keeps books; it
// waits for nothing and sends nothing. The outbox paces instances with it, and
// outbox/bulk paces bulks.
package pace
