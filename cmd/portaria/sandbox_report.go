package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"portaria/internal/fault"
)

// runView is what people are told of a run.
type runView struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	State     string    `json:"state"`
	Passed    bool      `json:"passed"`
	ElapsedMS int64     `json:"elapsed_ms"` // by the run's clock
	Steps     []runStep `json:"steps"`
	Timeline  []string  `json:"timeline"`
}

type runStep struct {
	Number  int         `json:"number"`
	Step    string      `json:"step"`
	Passed  bool        `json:"passed"`
	Skipped bool        `json:"skipped"`
	TookMS  int64       `json:"took_ms"`
	Problem *runProblem `json:"problem"`
}

type runProblem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// playView is a script and what came of it as programs read it. One of run and
// error is null.
type playView struct {
	File  string         `json:"file"`
	Run   jsontext.Value `json:"run"`
	Error *failure       `json:"error"`
}

// playPrinter tells what came of scripts: people one by one, programs at the end.
type playPrinter struct {
	streams

	json   bool
	colour bool
}

func newPlayPrinter(c *Config, io streams) *playPrinter {
	p := &playPrinter{streams: io, json: c.JSON}
	if f, ok := io.out.(*os.File); ok && os.Getenv("NO_COLOR") == "" {
		p.colour = isTerminal(f)
	}
	return p
}

// The colours of verdicts.
const (
	red   = "31"
	green = "32"
)

func (r *playPrinter) in(colour, text string) string {
	if !r.colour {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// add tells people of one script.
func (r *playPrinter) add(p *play) error {
	if p.err != nil {
		f := p.failure()
		for _, line := range p.complaints() {
			fmt.Fprintf(r.err, "portaria: %s (%s)\n", line, f.Code)
		}
		if f.cause != nil {
			fmt.Fprintln(r.err, "  cause:", f.cause)
		}
		return nil
	}
	if r.json {
		return nil
	}
	return r.tell(r.out, p)
}

// tell writes the timeline, and of what failed where in the file it stands.
func (r *playPrinter) tell(to io.Writer, p *play) error {
	verdict := r.in(green, "passed")
	if !p.run.Passed {
		verdict = r.in(red, "failed")
	}
	elapsed := time.Duration(p.run.ElapsedMS) * time.Millisecond
	fmt.Fprintf(to, "%s: %s, %d steps in %s of its clock (%s)\n", p.file, verdict, len(p.run.Steps), elapsed, printable(p.run.ID))
	for _, line := range p.run.Timeline {
		fmt.Fprintln(to, " ", printable(line))
	}
	for _, said := range p.problems() {
		fmt.Fprintln(to, r.in(red, said))
	}
	return nil
}

// problems says which steps failed, and why.
func (p *play) problems() (said []string) {
	for _, step := range p.run.Steps {
		if !step.Passed && !step.Skipped {
			said = append(said, p.problem(step))
		}
	}
	if len(said) == 0 && !p.run.Passed {
		said = append(said, fmt.Sprintf("%s: the run is %s", p.file, printable(p.run.State)))
	}
	return said
}

func (p *play) problem(step runStep) string {
	at := p.script.places.find(fmt.Sprintf("steps[%d]", step.Number-1)).in(p.file)
	said := fmt.Sprintf("%s: step %d, %s, failed", at, step.Number, printable(step.Step))
	if step.Problem != nil {
		said += fmt.Sprintf(": %s (%s)", printable(step.Problem.Message), printable(step.Problem.Code))
	}
	return said
}

// failure says why a script was not played.
func (p *play) failure() failure {
	f := describe(p.err)
	f.Message = strings.Join(p.complaints(), "; ")
	return f
}

// complaints say what is wrong, one thing a line: of what the server refused,
// where in the file it stands.
func (p *play) complaints() []string {
	if refused, ok := errors.AsType[*refusal](p.err); ok && len(refused.fields()) > 0 {
		return p.placed(refused.fields())
	}
	said := describe(p.err).Message
	if !errors.Is(p.err, errScript) { // which names the file itself
		said = p.file + ": " + said
	}
	return []string{said}
}

// placed puts before each refused field where it stands, in the order of the
// file.
func (p *play) placed(fields []fault.Field) (lines []string) {
	at := func(f fault.Field) place { return p.script.places.find(f.Field) }
	slices.SortStableFunc(fields, func(a, b fault.Field) int {
		return cmp.Or(cmp.Compare(at(a).line, at(b).line), cmp.Compare(at(a).column, at(b).column))
	})
	for _, field := range fields {
		lines = append(lines, fmt.Sprintf("%s: %s: %s", at(field).in(p.file), printable(field.Field), printable(field.Message)))
	}
	return lines
}

// end prints the document for programs, and says what came of all scripts.
func (r *playPrinter) end(plays []*play) error {
	views := make([]playView, 0, len(plays))
	failed, unplayed := 0, 0
	for _, p := range plays {
		view := playView{File: p.file, Run: p.data}
		switch {
		case p.err != nil:
			unplayed++
			f := p.failure()
			view.Error, view.Run = &f, jsontext.Value("null")
		case !p.run.Passed:
			failed++
		}
		views = append(views, view)
	}
	if r.json {
		if err := printJSON(r.streams, views); err != nil {
			return err
		}
	}
	switch {
	case unplayed > 0 && len(plays) == 1:
		return toldUsage("") // the complaint has said it
	case unplayed > 0:
		return toldUsage(fmt.Sprintf("%d of %d scripts not played, %d failed", unplayed, len(plays), failed))
	case failed > 0 && len(plays) == 1:
		return toldError("the script failed")
	case failed > 0:
		return toldError(fmt.Sprintf("%d of %d scripts failed", failed, len(plays)))
	default:
		return nil
	}
}
