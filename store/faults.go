package store

import "portaria/internal/fault"

// The faults of opening and using a database. Their sentences say what to do.
var (
	ErrDataDir = fault.New(fault.Unavailable, "DATA_DIR_UNUSABLE",
		"The data directory cannot be used: check that it exists, that this user may write to it, and that the disk has room.")
	ErrDatabaseUnreachable = fault.New(fault.Unavailable, "DATABASE_UNREACHABLE",
		"The database does not answer: check DATABASE_URL, that the server runs, and that the user and the database exist.")
	ErrDatabaseCorrupt = fault.New(fault.Unavailable, "DATABASE_CORRUPT",
		"The database file is damaged or is not a database: restore it from a backup, or move it away to begin anew.")
	ErrDatabaseNewer = fault.New(fault.Unavailable, "DATABASE_NEWER",
		"The database was written by a newer version of Portaria: run that version, or restore a backup from before the upgrade.")
	ErrDatabaseOutdated = fault.New(fault.Unavailable, "DATABASE_OUTDATED",
		"The database has not been migrated to this version: run `portaria migrate up`.")
	ErrDatabaseLocked = fault.New(fault.Unavailable, "DATABASE_IN_USE",
		"Another server already runs on this database: stop it, or choose another --data-dir or DATABASE_URL.")
	ErrDatabaseBusy = fault.New(fault.Unavailable, "DATABASE_BUSY",
		"The database is locked by another process; try again.")
	ErrDiskFull = fault.New(fault.Unavailable, "DATABASE_FULL",
		"The database cannot write: free space on its disk, and check the disk's health.")
	ErrDatabaseURL = fault.New(fault.Malformed, "DATABASE_URL_INVALID",
		"DATABASE_URL must begin with postgres:// or postgresql://, or be empty for SQLite in the data directory.")

	// ErrIdempotencyRace is the fault of a claim that another request stored
	// first: its answer can be read with Claimed.
	ErrIdempotencyRace = fault.New(fault.Conflict, "IDEMPOTENCY_IN_PROGRESS",
		"A request with this Idempotency-Key is being answered; try again.")
	// ErrNameTaken is the fault of a name that is in use.
	ErrNameTaken = fault.New(fault.Conflict, "NAME_TAKEN", "This name is taken.")
)
