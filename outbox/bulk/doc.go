// Package bulk sends one message to many recipients.
//
//	upload ──► check every row ──► chunks on the disk ──► paid ──► stored whole (Accept) ── 202
//	stored rows ──► their turn (pace, quiet hours, room in a lane) ──► a message each, in the outbox
//
// Promised:
//
//   - a bulk is accepted whole or not at all, whatever ends the process;
//   - a row becomes at most one message, unless its failure is retried: the
//     message and the row's turn are one commit, so that no crash sends twice;
//   - a lane never holds more than a few of a bulk's messages, so that others
//     pass it, and pausing or canceling takes effect at once;
//   - who has opted out before a row's turn is skipped.
//
// What the rows' messages become is the outbox's to promise.
package bulk
