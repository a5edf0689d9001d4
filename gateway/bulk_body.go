package gateway

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/sandbox"
)

// createBulk is the body of a bulk through one instance.
type createBulk struct {
	bulkOptionsInput

	Name       string              `json:"name,omitzero" maxLength:"100" description:"For people." example:"Black Friday"`
	Message    *contentInput       `json:"message" required:"true" description:"What each recipient gets: a content as that of a single message. Its texts may hold placeholders, {{name}} or {{name|default}}."`
	Recipients recipientList       `json:"recipients,omitzero"`
	Mapping    columnMap           `json:"mapping,omitzero" description:"Of a CSV file: the column of each variable, and of the recipient (to). Other columns are variables under their headers." example:"{\"to\":\"phone\",\"name\":\"Nome\"}"`
	Metadata   *metadata           `json:"metadata,omitzero"`
	Sandbox    *messaging.Override `json:"sandbox,omitzero"`

	DryRun string `json:"-" query:"dry_run" enum:"true,false" description:"true: check every row and answer what would happen; nothing is stored."`

	content messaging.Content
	file    *mediaInput // still to be brought; nil: the content has none
	options messaging.BulkOptions
}

// createSpreadBulk is the body of a bulk over several instances.
type createSpreadBulk struct {
	createBulk

	Instances []string `json:"instances" required:"true" minItems:"1" maxItems:"1000" description:"Ids or names. Each takes rows as it has room; one that is named twice counts once." example:"[\"support\",\"sales\"]"`
}

// maxBulkInstances is how many instances a bulk can be spread over.
const maxBulkInstances = 1000

// maxBulkName is the longest name, in characters.
const maxBulkName = 100

// readQuery implements queryReader.
func (c *createBulk) readQuery(q *query) { c.DryRun = q.enum("dry_run", "true", "false") }

// rehearsed reports whether nothing is to be stored.
func (c *createBulk) rehearsed() bool { return c.DryRun == "true" }

// refuseUnknown implements unknownRefuser, for the message.
func (c *createBulk) refuseUnknown(member string) error {
	inner, ok := strings.CutPrefix(member, messagePart+".")
	if !ok {
		return nil
	}
	return new(contentInput).refuseUnknown(inner)
}

// validate implements validator.
func (c *createBulk) validate(call *Call, fields *fault.Fields) error {
	if utf8.RuneCountInString(c.Name) > maxBulkName {
		fields.Add("name", "max_length", "must not be longer than 100 characters")
	}
	if !plainText(c.Name) {
		*fields = append(*fields, notPlain("name"))
	}
	if err := c.readMessage(fields); err != nil {
		return err
	}
	c.checkRows(call.exchange.rows, fields)
	c.options = c.read(call, fields)
	c.Metadata.check(fields)
	if c.Sandbox == nil {
		return nil
	}
	if call.Tenancy.Environment() != messaging.Test {
		fields.Add("sandbox", "environment", "is for test keys only")
		return nil
	}
	*fields = append(*fields, sandbox.ValidateOverride(c.Sandbox)...)
	c.options.Sandbox = c.Sandbox
	return nil
}

// validate implements validator.
func (c *createSpreadBulk) validate(call *Call, fields *fault.Fields) error {
	if len(c.Instances) == 0 || len(c.Instances) > maxBulkInstances {
		fields.Add("instances", "length", "must name 1 to "+strconv.Itoa(maxBulkInstances)+" instances")
	}
	return c.createBulk.validate(call, fields)
}

// readMessage reads the template. What points at one message has no place in
// it.
func (c *createBulk) readMessage(fields *fault.Fields) (err error) {
	m := c.Message
	if m == nil {
		fields.Add(messagePart, "required", "is required: what each recipient gets, as {\"text\":\"Hello {{name}}\"}")
		return nil
	}
	var wrong fault.Fields
	switch {
	case m.Reaction != nil, m.Type == string(messaging.KindReaction):
		fields.Add(messagePart+".reaction", "requires", "points at one message, so it cannot be sent to many")
		return nil
	case m.ReplyTo != "":
		fields.Add(messagePart+".reply_to", "requires", "points at one message, so it cannot be sent to many")
		m.ReplyTo = ""
	}
	c.content, c.file, err = m.read(false, &wrong)
	*fields = append(*fields, within(messagePart, wrong)...)
	return err
}

// checkRows refuses a bulk without rows, or with rows where none are looked for.
func (c *createBulk) checkRows(rows *rowsUpload, fields *fault.Fields) {
	form := rows != nil && rows.form
	switch {
	case form && c.Recipients.given:
		fields.Add(rowsMember, "requires", "has no place in a form: the rows are its file")
	case form && !rows.given:
		fields.Add(filePart, "required", "is required: the part with the recipients, as CSV or NDJSON")
	case !form && !c.Recipients.given:
		fields.Add(rowsMember, "required", "is required: a list of {\"to\":…,\"variables\":{…}}")
	}
	if len(c.Mapping) > 0 && (!form || rows.format != rowsCSV) {
		fields.Add("mapping", "requires", "is for CSV files")
	}
}

// recipientList stands in a body where its rows were: they lie on the disk.
type recipientList struct{ given bool }

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (r *recipientList) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	if decoder.PeekKind() != '[' {
		return errNotList
	}
	r.given = true
	return decoder.SkipValue()
}

// JSONSchemaBytes describes the type in the OpenAPI document.
func (recipientList) JSONSchemaBytes() ([]byte, error) {
	return []byte(`{"type":"array","minItems":1,"maxItems":` + strconv.Itoa(messaging.MaxBulkRows) + `,"description":"Who gets it. A form has a file instead.",` +
		`"items":{"type":"object","required":["to"],"additionalProperties":false,"properties":{` +
		`"to":{"type":"string","description":"A number in international form, or a WhatsApp id."},` +
		`"variables":{"type":["object","null"],"maxProperties":` + strconv.Itoa(maxVariables) +
		`,"additionalProperties":{"type":["string","number","boolean","null"]}}}}}`), nil
}

func (*recipientList) form(jsontext.Kind) any { return nil }

func (*recipientList) shape() string { return "must be a list of recipients" }
