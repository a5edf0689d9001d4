package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/swaggest/openapi-go"
	"github.com/swaggest/openapi-go/openapi31"

	"portaria/auth"
	"portaria/instances"
	"portaria/internal/fault"
)

// The names of the ways to present a key.
const (
	bearerScheme = "bearer"
	headerScheme = "apiKey"
)

// buildDocument makes the OpenAPI document of the table and its Go types.
func (s *Server) buildDocument() ([]byte, error) {
	reflector := newReflector()
	spec := reflector.SpecEns()
	spec.SetTitle("Portaria")
	spec.SetVersion(s.version)
	spec.SetDescription("A self-hosted messaging gateway: every API key opens only the doors it was cut for.")
	spec.SetHTTPBearerTokenSecurity(bearerScheme, "sk_live_… or sk_test_…", "The API key as a bearer token.")
	spec.SetAPIKeySecurity(headerScheme, "X-API-Key", openapi.InHeader, "The API key, for clients that cannot send Authorization.")
	describeHeaders(spec)
	describeErrors(spec)
	for i := range s.rows {
		if err := describeRow(reflector, &s.rows[i]); err != nil {
			return nil, fmt.Errorf("describe %s: %w", s.rows[i].OperationID, err)
		}
	}
	for _, health := range []struct{ path, id, summary string }{
		{"/healthz", "getHealth", "Say that the process lives"},
		{"/readyz", "getReadiness", "Say whether the process can serve"},
	} {
		if err := describeOpen(reflector, health.path, health.id, health.summary); err != nil {
			return nil, fmt.Errorf("describe %s: %w", health.path, err)
		}
	}
	for _, schema := range spec.ComponentsEns().Schemas {
		mendNullable(schema)
	}
	return spec.MarshalJSON()
}

// The parameters that rows take beside their own.
type (
	instanceParam struct {
		Instance string `path:"instance" description:"An instance's id or name."`
	}
	instanceFilter struct {
		Instance string `query:"instance" description:"An instance's id or name."`
	}
	idParam struct {
		ID string `path:"id"`
	}
	deliveryParam struct {
		Delivery string `path:"delivery"`
	}
	postHeaders struct {
		IdempotencyKey string `header:"Idempotency-Key" minLength:"1" maxLength:"255" description:"Requests with the same key act once and get the same answer, for 24 hours."`
	}
)

// describeRow adds a row's operation.
func describeRow(reflector *openapi31.Reflector, row *Row) error {
	operation, err := reflector.NewOperationContext(row.Method, row.Path)
	if err != nil {
		return err
	}
	operation.SetID(row.OperationID)
	operation.SetSummary(row.Summary)
	operation.SetDescription(row.Description)
	operation.SetTags(row.Tag)
	scopes := row.required()
	operation.AddSecurity(bearerScheme)
	operation.AddSecurity(headerScheme)
	for _, parameters := range row.parameters() {
		operation.AddReqStructure(parameters)
	}
	for _, status := range row.successes() {
		answer := row.Handler.answer
		if other, ok := row.Others[status]; ok {
			answer = other
		}
		operation.AddRespStructure(answer, openapi.WithHTTPStatus(status))
	}
	if err := reflector.AddOperation(operation); err != nil {
		return err
	}
	path := reflector.Spec.Paths.MapOfPathItemValues[row.Path]
	described, err := path.Operation(row.Method)
	if err != nil {
		return err
	}
	word := "x-required-scopes"
	if len(row.AnyOf) > 0 {
		word = "x-any-of-scopes"
	}
	described.WithMapOfAnythingItem(word, scopes)
	addHeaders(described)
	addForms(described, row.Forms)
	if row.FormLimit > 0 {
		described.RequestBody.RequestBody.WithContentItem("multipart/form-data", openapi31.MediaType{Schema: formSchema(row)})
	}
	addRefusals(described, row.refusals())
	return addExample(described, row.Example)
}

// formSchema describes the form in which a row takes a file.
func formSchema(row *Row) map[string]any {
	if row.Spools {
		return bulkFormSchema(row)
	}
	file := map[string]any{"type": "string", "format": "binary", "description": "At most 100 MiB."}
	parts := map[string]any{filePart: file}
	required := []string{filePart}
	if _, alone := row.Handler.request.(uploadMedia); !alone {
		parts[messagePart] = map[string]any{"type": "string", "description": "The message as JSON.", "contentMediaType": "application/json"}
		required = []string{messagePart}
	}
	return map[string]any{"type": "object", "properties": parts, "required": required, "additionalProperties": false}
}

// addForms adds the other forms of success.
func addForms(operation *openapi31.Operation, forms []string) {
	for _, response := range operation.Responses.MapOfResponseOrReferenceValues {
		for _, mediaType := range forms {
			response.Response.WithContentItem(mediaType, openapi31.MediaType{Schema: map[string]any{"type": "string"}})
		}
	}
}

// addExample shows a body that the operation accepts.
func addExample(operation *openapi31.Operation, body string) error {
	if body == "" {
		return nil
	}
	var example any
	if err := json.Unmarshal([]byte(body), &example); err != nil {
		return fmt.Errorf("example: %w", err)
	}
	content := operation.RequestBody.RequestBody.Content
	media := content["application/json"]
	media.Example = &example
	content["application/json"] = media
	return nil
}

// describeOpen adds a health route.
func describeOpen(reflector *openapi31.Reflector, path, id, summary string) error {
	operation, err := reflector.NewOperationContext(http.MethodGet, path)
	if err != nil {
		return err
	}
	operation.SetID(id)
	operation.SetSummary(summary)
	operation.SetTags("operation")
	operation.AddRespStructure(answerOf[healthView](), openapi.WithHTTPStatus(http.StatusOK))
	if err := reflector.AddOperation(operation); err != nil {
		return err
	}
	item := reflector.Spec.Paths.MapOfPathItemValues[path]
	described, err := item.Operation(http.MethodGet)
	if err != nil {
		return err
	}
	addRefusals(described, []*fault.Fault{fault.ErrUnavailable, fault.ErrShuttingDown, errInternal})
	return nil
}

// parameters lists the structures of a row's request.
func (r *Row) parameters() []any {
	list := []any{r.Handler.request}
	switch r.Instance {
	case InstancePath:
		list = append(list, instanceParam{})
	case InstanceQuery:
		list = append(list, instanceFilter{})
	case InstanceNone, InstanceKey, InstanceBody:
	}
	if hasID(r.Path) {
		list = append(list, idParam{})
	}
	if hasDelivery(r.Path) {
		list = append(list, deliveryParam{})
	}
	if r.Method == http.MethodPost {
		list = append(list, postHeaders{})
	}
	if r.Seeds != SeedsNothing {
		list = append(list, seedHeader{})
	}
	return list
}

// successes lists the statuses of a row's success.
func (r *Row) successes() []int {
	if len(r.Statuses) == 0 {
		return []int{http.StatusOK}
	}
	return r.Statuses
}

// refusals lists every fault that a row can answer with: those of its guards,
// which follow from the row, and its own.
func (r *Row) refusals() []*fault.Fault {
	list := []*fault.Fault{
		auth.ErrUnauthorized, auth.ErrKeyExpired, auth.ErrBusy, auth.ErrRateLimited,
		fault.ErrBadRequest, fault.ErrUnavailable, fault.ErrShuttingDown, errInternal,
	}
	if len(r.Scopes)+len(r.AnyOf) > 0 {
		list = append(list, auth.ErrInsufficientScope)
	}
	if r.Environments != nil {
		list = append(list, auth.ErrWrongEnvironment)
	}
	if r.WorkspaceAct {
		list = append(list, auth.ErrInstanceLocked)
	}
	switch r.Instance {
	case InstancePath, InstanceQuery, InstanceBody:
		list = append(list, auth.ErrInstanceNotAllowed, instances.ErrNotFound)
	case InstanceKey:
		list = append(list, ErrInstanceRequired, instances.ErrNotFound)
	case InstanceNone:
	}
	if r.BodyLimit > 0 {
		list = append(list, ErrInvalidJSON, ErrPayloadTooLarge, ErrUnsupportedMedia, fault.ErrValidation)
	}
	return append(list, r.Faults...)
}

// addRefusals adds the answers of refusal, one a status, with their codes.
func addRefusals(operation *openapi31.Operation, refusals []*fault.Fault) {
	byStatus := make(map[int][]string)
	for _, f := range refusals {
		status := httpStatus(f.Kind())
		if !slices.Contains(byStatus[status], f.Code()) {
			byStatus[status] = append(byStatus[status], f.Code())
		}
	}
	for status, codes := range byStatus {
		slices.Sort(codes)
		response := &openapi31.Response{Description: "`" + strings.Join(codes, "` `") + "`", Headers: answerHeaders()}
		if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
			response.Headers["Retry-After"] = headerRef("Retry-After")
		}
		response.WithContentItem("application/json", openapi31.MediaType{Schema: refusalSchema("Error", []string{"error", "code"}, codes)})
		response.WithContentItem("application/problem+json", openapi31.MediaType{Schema: refusalSchema("Problem", []string{"code"}, codes)})
		operation.Responses.WithMapOfResponseOrReferenceValuesItem(strconv.Itoa(status), openapi31.ResponseOrReference{Response: response})
	}
}

// refusalSchema narrows the schema of errors to codes; at is where they stand.
func refusalSchema(name string, at, codes []string) map[string]any {
	narrowed := map[string]any{"enum": codes}
	for _, member := range slices.Backward(at) {
		narrowed = map[string]any{"properties": map[string]any{member: narrowed}}
	}
	return map[string]any{"allOf": []any{map[string]any{"$ref": "#/components/schemas/" + name}, narrowed}}
}

// addHeaders adds the headers of the door to the answers of success.
func addHeaders(operation *openapi31.Operation) {
	for _, response := range operation.Responses.MapOfResponseOrReferenceValues {
		response.Response.Headers = answerHeaders()
		for _, name := range []string{"RateLimit-Policy", "RateLimit", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Portaria-Environment"} {
			response.Response.Headers[name] = headerRef(name)
		}
	}
}

func answerHeaders() map[string]openapi31.HeaderOrReference {
	return map[string]openapi31.HeaderOrReference{"X-Request-Id": headerRef("X-Request-Id")}
}

func headerRef(name string) openapi31.HeaderOrReference {
	return openapi31.HeaderOrReference{Reference: &openapi31.Reference{Ref: "#/components/headers/" + name}}
}
