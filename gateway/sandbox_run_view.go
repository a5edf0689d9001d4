package gateway

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"portaria/messaging"
	"portaria/sandbox/runs"
)

// runView is a run as the API shows it.
type runView struct {
	ID         string        `json:"id"`
	Name       nullable      `json:"name"`
	InstanceID nullable      `json:"instance_id" description:"The run's own instance is gone when the run has ended."`
	State      runs.State    `json:"state" enum:"running,ended,aborted"`
	Passed     bool          `json:"passed" description:"Every step did what it was to do."`
	StartedAt  timestamp     `json:"started_at" description:"By the machine's time, as ended_at."`
	EndedAt    timestamp     `json:"ended_at"`
	ElapsedMS  int64         `json:"elapsed_ms" description:"By the run's clock, as all times of its steps."`
	Steps      []runStepView `json:"steps" nullable:"false"`
	Timeline   []string      `json:"timeline" nullable:"false" description:"The run to be read by people: a line for each step and each event, in columns."`
}

// runStepView is what came of a step.
type runStepView struct {
	Number    int             `json:"number" description:"The first step is 1."`
	Step      runs.Kind       `json:"step" enum:"send,inbound,expect,advance,drop,reconnect,connect,scan,logout,ban"`
	Passed    bool            `json:"passed"`
	Skipped   bool            `json:"skipped" description:"A step before it failed, so it was not played."`
	AtMS      int64           `json:"at_ms" description:"When it began, since the run began."`
	TookMS    int64           `json:"took_ms"`
	MessageID nullable        `json:"message_id" description:"The message that the step made, or that of the event that was expected."`
	EventID   nullable        `json:"event_id" description:"The event that was expected."`
	Problem   *runProblemView `json:"problem" description:"Why the step did not pass, or with what it was refused as it should be."`
	Events    []runEventView  `json:"events" nullable:"false" description:"What happened to the instance meanwhile."`
	More      int             `json:"more_events" description:"Events that are not told: a step tells of 1000."`
	Text      string          `json:"text" description:"What came of the step, for people."`
}

// runProblemView is a fault in a run.
type runProblemView struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// runEventView is an event in a run.
type runEventView struct {
	ID        string              `json:"id"`
	Type      messaging.EventType `json:"type"`
	AtMS      int64               `json:"at_ms" description:"Since the run began."`
	MessageID nullable            `json:"message_id"`
	Says      nullable            `json:"says" description:"The code of an error, or the reason of a state."`
}

func viewRun(r *runs.Run) runView {
	v := runView{
		ID: r.ID, Name: nullable(r.Name), InstanceID: nullable(r.InstanceID), State: r.State, Passed: r.Passed,
		StartedAt: timestamp(r.StartedAt), EndedAt: timestamp(r.EndedAt), ElapsedMS: r.Elapsed.Milliseconds(),
		Steps: make([]runStepView, len(r.Steps)), Timeline: timelineOf(r.Steps),
	}
	for i := range r.Steps {
		v.Steps[i] = viewStep(i+1, &r.Steps[i], metBy(r.Steps, i))
	}
	return v
}

func viewStep(number int, s *runs.StepReport, met *runs.Happening) runStepView {
	v := runStepView{
		Number: number, Step: s.Kind, Passed: s.Passed, Skipped: s.Skipped, AtMS: s.At.Milliseconds(), TookMS: s.Took.Milliseconds(),
		MessageID: nullable(s.MessageID), EventID: nullable(s.Met), Events: make([]runEventView, len(s.Events)), More: s.More, Text: outcomeOf(s, met),
	}
	if s.Problem != nil {
		v.Problem = &runProblemView{Code: s.Problem.Code, Message: s.Problem.Message}
	}
	for i, e := range s.Events {
		v.Events[i] = runEventView{ID: e.ID, Type: e.Type, AtMS: e.At.Milliseconds(), MessageID: nullable(e.MessageID), Says: nullable(e.Says)}
	}
	return v
}

// metBy finds the event that a step expected: it happened in that step, or in one
// before it. Nil: none came.
func metBy(steps []runs.StepReport, i int) *runs.Happening {
	id := steps[i].Met
	for ; id != "" && i >= 0; i-- {
		for k := range steps[i].Events {
			if steps[i].Events[k].ID == id {
				return &steps[i].Events[k]
			}
		}
	}
	return nil
}

// outcomeOf says what came of a step. met is the event that it expected, if it
// came.
func outcomeOf(s *runs.StepReport, met *runs.Happening) string {
	var says string
	if s.Problem != nil {
		says = s.Problem.Code + ": " + s.Problem.Message
	}
	switch {
	case s.Skipped:
		return "skipped"
	case !s.Passed:
		return words("FAILED", says)
	case s.Problem != nil:
		return words("passed", "refused as it should be", says)
	case met != nil:
		return words("passed", string(met.Type)+" "+since(met.At), s.MessageID)
	default:
		return words("passed", s.MessageID)
	}
}

// words joins what is not empty.
func words(list ...string) string {
	var said []string
	for _, one := range list {
		if one != "" {
			said = append(said, one)
		}
	}
	return strings.Join(said, "  ")
}

// timelineOf writes a run for people: a line for each step and each event, when
// it was, what it was, and what came of it, in columns.
func timelineOf(steps []runs.StepReport) []string {
	var text strings.Builder
	columns := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0) // it writes to memory, which does not fail
	for i := range steps {
		s := &steps[i]
		fmt.Fprintf(columns, "%s\t%d %s\t%s\n", since(s.At), i+1, s.Kind, outcomeOf(s, metBy(steps, i)))
		for _, e := range s.Events {
			fmt.Fprintf(columns, "%s\t  %s\t%s\n", since(e.At), e.Type, words(e.MessageID, e.Says))
		}
		if s.More > 0 {
			fmt.Fprintf(columns, "%s\t  and %d more\t\n", since(s.At+s.Took), s.More)
		}
	}
	_ = columns.Flush()
	lines := []string{}
	for line := range strings.Lines(text.String()) {
		lines = append(lines, strings.TrimRight(line, " \n"))
	}
	return lines
}

// since writes a time since the run began, without the zeros at its end.
func since(d time.Duration) string {
	text := d.Truncate(time.Millisecond).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return "+" + text
}
