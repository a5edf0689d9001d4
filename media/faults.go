package media

import "portaria/internal/fault"

// The faults of files.
var (
	// ErrTooLarge is the fault of a file that is larger than any may be.
	ErrTooLarge = fault.New(fault.TooLarge, "PAYLOAD_TOO_LARGE", "The file is larger than 100 MiB.")
	// ErrEmpty is the fault of a file without bytes.
	ErrEmpty = fault.New(fault.Invalid, "MEDIA_EMPTY", "The file is empty.")
	// ErrURLNotAllowed is the fault of a URL that may not be fetched: its host is
	// not public, or it is no URL for HTTP.
	ErrURLNotAllowed = fault.New(fault.Invalid, "URL_NOT_ALLOWED",
		"This URL may not be fetched: it has to be http or https, and lead to a public address.")
	// ErrUnreachable is the fault of a URL from which no file came.
	ErrUnreachable = fault.New(fault.Invalid, "MEDIA_UNREACHABLE", "The file could not be fetched from its URL.")
	// ErrStorage is the fault of a disk that does not take a file. Its sentence is
	// for the operator; callers are told UNAVAILABLE.
	ErrStorage = fault.New(fault.Unavailable, "DATA_DIR_UNUSABLE",
		"Files cannot be stored: check that the disk of the data directory has room and that this user may write to it.")
)
