// Package sheet reads the CSV files that strangers upload, strictly: what
// cannot be understood for certain is refused with its place and with what to
// do about it. A guess would send a message to the wrong person, or with
// another person's name.
//
// Taken are UTF-8 with or without a byte order mark, the separators comma,
// semicolon, tab and |, and lines that end with LF or CR LF. The form is that
// of RFC 4180, with one row of headers. The file is never held: what a reader
// needs is bounded by MaxRowBytes.
package sheet
