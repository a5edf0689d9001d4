// Package media keeps the files of messages: those that callers send, and those
// that contacts sent.
//
// A file is first spooled: written to a temporary name while its length, its
// SHA-256 and its true type are found out, so that nothing of it is held in
// memory. Keep makes it durable (on the disk under its final name, then in the
// database); whatever is not kept is removed, so a refused request leaves
// nothing behind. Fetch brings a file from a URL, and dials no address that is
// not public unless the operator has said so.
//
// What a kind of message may be is decided by Check, from the bytes and never
// from what a caller says of them. Who may see a file is the caller's tenancy's
// matter; the library only answers within it.
package media
