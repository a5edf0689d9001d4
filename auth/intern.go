package auth

import "portaria/messaging"

// interner lets the records of one read share equal texts: every row brings
// its own copy of its workspace's id, and keys of one instance repeat its id
// and name.
type interner map[string]string

func (in interner) text(s string) string {
	if known, ok := in[s]; ok {
		return known
	}
	in[s] = s
	return s
}

// record returns a copy whose texts are shared, and which keeps no text alive
// that the directory does not need.
func (in interner) record(r *Record) *Record {
	shared := *r
	shared.Workspace = in.text(r.Workspace)
	shared.Environment = messaging.Environment(in.text(string(r.Environment)))
	if r.Lineage == r.ID {
		shared.Lineage = r.ID
	}
	shared.Instances = make([]AllowedInstance, len(r.Instances))
	for i, allowed := range r.Instances {
		shared.Instances[i] = AllowedInstance{ID: in.text(allowed.ID), Name: in.text(allowed.Name)}
	}
	return &shared
}
