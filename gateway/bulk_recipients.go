package gateway

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"portaria/messaging"
)

// formCSV is the media type of a bulk's results as a table.
const formCSV = "text/csv"

// bulkRecipientView is a row of a bulk as the API shows it.
type bulkRecipientView struct {
	ID          string               `json:"id"`
	Row         int64                `json:"row" description:"From 1, in the order of the upload."`
	To          addressView          `json:"to"`
	Variables   object               `json:"variables"`
	Status      string               `json:"status" enum:"scheduled,queued,held,sending,sent,delivered,read,played,failed,expired,canceled,skipped" description:"Of its message; queued while it waits in the bulk."`
	Error       *messaging.SendError `json:"error" description:"Why it failed, or was skipped."`
	MessageID   nullable             `json:"message_id" description:"Null while it waits in the bulk, and of a row that was skipped."`
	InstanceID  nullable             `json:"instance_id"`
	SentAt      timestamp            `json:"sent_at"`
	DeliveredAt timestamp            `json:"delivered_at"`
	ReadAt      timestamp            `json:"read_at"`
	FailedAt    timestamp            `json:"failed_at"`
}

func viewBulkRecipient(r messaging.BulkRecipient) bulkRecipientView {
	return bulkRecipientView{
		ID: r.ID, Row: r.Row, To: addressView(r.To), Variables: object(r.Variables), Status: r.Status, Error: r.Error,
		MessageID: nullable(r.MessageID), InstanceID: nullable(r.InstanceID), SentAt: timestamp(r.State.SentAt),
		DeliveredAt: timestamp(r.State.DeliveredAt), ReadAt: timestamp(r.State.ReadAt), FailedAt: timestamp(r.State.FailedAt),
	}
}

// statusSkipped is that of a row that never becomes a message.
const statusSkipped = "skipped"

// recipientStatuses are those that a row of a bulk can have.
var recipientStatuses = []string{
	string(messaging.StatusScheduled), string(messaging.StatusQueued), string(messaging.StatusHeld), string(messaging.StatusSending),
	string(messaging.StatusSent), string(messaging.StatusDelivered), string(messaging.StatusRead), string(messaging.StatusPlayed),
	string(messaging.StatusFailed), string(messaging.StatusExpired), string(messaging.StatusCanceled), statusSkipped,
}

// listRecipients is the query of GET /v1/bulk/{id}/recipients.
type listRecipients struct {
	pageQuery

	Status string `query:"status" enum:"scheduled,queued,held,sending,sent,delivered,read,played,failed,expired,canceled,skipped"`
}

// readQuery implements queryReader.
func (l *listRecipients) readQuery(q *query) {
	l.page = q.page(isPosition)
	l.Status = q.enum("status", recipientStatuses...)
}

// recipientsAnswer is a page of rows, or all of them as a table.
type recipientsAnswer struct {
	page  List[bulkRecipientView]
	table *form
}

// answer describes the envelope; the row's Forms have the table.
func (recipientsAnswer) answer() any { return listAnswer[bulkRecipientView]{} }

func (r recipientsAnswer) inForm() (data any, other *form) { return r.page, r.table }

// listBulkRecipients lists the rows of a bulk in their order. As CSV it is all
// of them, whatever page is asked for.
func (s *Server) listBulkRecipients(ctx context.Context, call *Call, req listRecipients) (recipientsAnswer, error) {
	b, err := s.visibleBulk(ctx, call)
	if err != nil {
		return recipientsAnswer{}, err
	}
	if call.Prefers(formCSV) == formCSV {
		table, err := s.resultTable(ctx, b, req.Status)
		return recipientsAnswer{table: table}, err
	}
	rows, err := s.bulks.Recipients(ctx, b, req.Status, req.page)
	last := func(r messaging.BulkRecipient) string { return strconv.FormatInt(r.Row, 10) }
	return recipientsAnswer{page: listOf(rows, req.page, viewBulkRecipient, last)}, err
}

// harmless makes a cell one that no spreadsheet takes for a formula: a cell that
// begins with one of = + - @, or with a tab or a line break, gets an apostrophe
// before it (OWASP, CSV Injection). A telephone number as people write it, + and
// then digits, spaces and .-() only, stays as it is: it calls nothing.
func harmless(cell string) string {
	if cell == "" || strings.IndexByte("=+-@\t\r\n", cell[0]) < 0 {
		return cell
	}
	if cell[0] == '+' && len(cell) > 1 && strings.Trim(cell[1:], "0123456789 .-()") == "" {
		return cell
	}
	return "'" + cell
}

// resultColumns are those that every table of results has; the variables of its
// rows follow.
var resultColumns = []string{
	"row", "to", "wa_id", "status", "error_code", "error_message", "message_id", "instance_id",
	"sent_at", "delivered_at", "read_at", "failed_at",
}

// variableColumns names the columns of variables so that no two of the table are
// the same.
func variableColumns(variables []string) []string {
	names := slices.Clone(resultColumns)
	for _, name := range variables {
		for slices.Contains(names, name) {
			name = "variable_" + name
		}
		names = append(names, name)
	}
	return names[len(resultColumns):]
}
