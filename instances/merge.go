package instances

import (
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portaria/instances/proxy"
	"portaria/internal/fault"
	"portaria/messaging"
)

// The largest metadata and settings of an instance.
const (
	maxMetadataBytes = 4 << 10
	maxSettingsBytes = 16 << 10
)

// apply merges the patch into an instance.
func (p *Patch) apply(i *messaging.Instance, proxies *proxy.Book) (err error) {
	if i.Metadata, err = merge("metadata", i.Metadata, p.Metadata, maxMetadataBytes); err != nil {
		return err
	}
	settings, err := proxies.Keep(i, p.Settings)
	if err != nil {
		return err
	}
	i.Settings, err = merge("settings", i.Settings, settings, maxSettingsBytes)
	return err
}

// merge applies a JSON merge patch (RFC 7396) to an object. Nil changes nothing.
func merge(name string, old, patch []byte, limit int) ([]byte, error) {
	if len(patch) == 0 {
		return old, nil
	}
	var fields fault.Fields
	checkObject(&fields, name, patch, limit)
	if err := fields.Err(); err != nil {
		return nil, err
	}
	merged, err := mergeObjects(object(old), patch)
	if err != nil {
		return nil, fmt.Errorf("merge %s: %w", name, err)
	}
	checkObject(&fields, name, merged, limit)
	return merged, fields.Err()
}

// mergeObjects merges one object into another. Values that are not objects are
// kept as they were written: a number has more digits than a float64.
func mergeObjects(old, patch jsontext.Value) (jsontext.Value, error) {
	into := make(map[string]jsontext.Value)
	if old.Kind() == '{' {
		if err := json.Unmarshal(old, &into); err != nil {
			return nil, err
		}
	}
	var from map[string]jsontext.Value
	if err := json.Unmarshal(patch, &from); err != nil {
		return nil, err
	}
	for name, value := range from {
		switch value.Kind() { //nolint:exhaustive // all other kinds replace what was there
		case 'n':
			delete(into, name)
		case '{':
			merged, err := mergeObjects(into[name], value)
			if err != nil {
				return nil, err
			}
			into[name] = merged
		default:
			into[name] = value
		}
	}
	return json.Marshal(into, json.Deterministic(true))
}

func checkObject(fields *fault.Fields, name string, text []byte, limit int) {
	if len(text) > limit {
		fields.Add(name, "max_bytes", fmt.Sprintf("must not be larger than %d bytes", limit))
		return
	}
	if len(text) > 0 && (jsontext.Value(text).Kind() != '{' || !jsontext.Value(text).IsValid()) {
		fields.Add(name, "type", "must be a JSON object")
	}
}

func object(text []byte) []byte {
	if len(text) == 0 {
		return []byte("{}")
	}
	return text
}
