package whatsapp

import (
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"portaria/messaging"
)

// TestNoRecordHoldsWhatNoDatabaseTakes: every text of every record that a
// stranger has a hand in is plain, whichever field it is in; a new field is
// found here. What is ours is left alone.
func TestNoRecordHoldsWhatNoDatabaseTakes(t *testing.T) {
	ours := map[string]bool{
		"WorkspaceID": true, "Environment": true, "InstanceID": true, "MessageID": true, "Status": true, "Type": true, "State": true,
		"Reason": true, "Kind": true, "SHA256": true, "Direction": true, "Priority": true, "KeyID": true, "Lineage": true,
		"BulkID": true, "Outcome": true, "Code": true, "Message": true, // of an error
	}
	for _, record := range []messaging.Record{
		messaging.InboundMessage{}, messaging.MessageEdit{}, messaging.MessageRevoke{}, messaging.CallReceived{}, messaging.InstanceChange{},
	} {
		filled := reflect.New(reflect.TypeOf(record)).Elem()
		fill(filled)
		clean := plainRecord(filled.Interface().(messaging.Record))
		for path, text := range texts(reflect.ValueOf(clean), reflect.TypeOf(record).Name()) {
			field := path[strings.LastIndexByte(path, '.')+1:]
			if ours[field] || strings.HasSuffix(path, "Message.ID") || strings.HasSuffix(path, "Media.ID") {
				continue
			}
			if !utf8.ValidString(text) || strings.ContainsRune(text, 0) || !strings.HasPrefix(text, "é") {
				t.Errorf("%s is %q", path, text)
			}
		}
	}
}

const poison = "é\x00\xffz"

// fill writes the poison into every text below a value.
func fill(v reflect.Value) {
	switch v.Kind() { //nolint:exhaustive // the others hold no text
	case reflect.String:
		v.SetString(poison)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Uint8 {
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			fill(v.Index(0))
			fill(v.Index(1))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i))
			}
		}
	}
}

// texts returns every text below a value by its path.
func texts(v reflect.Value, path string) map[string]string {
	found := make(map[string]string)
	switch v.Kind() { //nolint:exhaustive // the others hold no text
	case reflect.String:
		found[path] = v.String()
	case reflect.Pointer:
		return texts(v.Elem(), path)
	case reflect.Slice:
		for i := range v.Len() {
			for path, text := range texts(v.Index(i), path) {
				found[path] += text
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			for path, text := range texts(v.Field(i), path+"."+v.Type().Field(i).Name) {
				found[path] = text
			}
		}
	}
	return found
}
