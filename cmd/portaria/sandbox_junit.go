package main

import (
	"encoding/xml"
	"fmt"
	"os"
	"strings"
	"time"
)

// The elements of JUnit's XML that CI systems read
// (https://github.com/testmoapp/junitxml). A script is a suite, a step a case.
type (
	junitReport struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"time,attr"` // seconds of the run's clock
		Cases    []junitCase `xml:"testcase"`
		Out      string      `xml:"system-out,omitempty"`
	}
	junitCase struct {
		Name    string     `xml:"name,attr"`
		Class   string     `xml:"classname,attr"`
		Time    string     `xml:"time,attr"`
		Failure *junitWhy  `xml:"failure"`
		Error   *junitWhy  `xml:"error"`
		Skipped *junitNone `xml:"skipped"`
	}
	junitWhy struct {
		Type    string `xml:"type,attr"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	junitNone struct{}
)

// writeJUnit writes the report, if one is asked for.
func (cmd *sandboxRunCmd) writeJUnit(plays []*play) error {
	if cmd.JUnit == "" {
		return nil
	}
	report := junitReport{Suites: make([]junitSuite, 0, len(plays))}
	for _, p := range plays {
		report.Suites = append(report.Suites, p.junit())
	}
	text, err := xml.MarshalIndent(report, "", "  ")
	if err != nil {
		return fmt.Errorf("--junit: %w", err)
	}
	if err := os.WriteFile(cmd.JUnit, []byte(xml.Header+string(text)+"\n"), 0o644); err != nil { //nolint:gosec // a report for others to read
		return fmt.Errorf("--junit: %w", err)
	}
	return nil
}

// junit is the suite of a script. One that was not played has a case that says
// why.
func (p *play) junit() junitSuite {
	if p.err != nil {
		f := p.failure()
		why := &junitWhy{Type: f.Code, Message: f.Message, Text: f.Message}
		return junitSuite{Name: p.file, Tests: 1, Errors: 1, Time: "0.000", Cases: []junitCase{{Name: "script", Class: p.file, Time: "0.000", Error: why}}}
	}
	suite := junitSuite{Name: p.file, Tests: len(p.run.Steps), Time: inSeconds(p.run.ElapsedMS), Out: strings.Join(p.run.Timeline, "\n")}
	for _, step := range p.run.Steps {
		shown := junitCase{Name: fmt.Sprintf("%d %s", step.Number, step.Step), Class: p.file, Time: inSeconds(step.TookMS)}
		switch {
		case step.Skipped:
			suite.Skipped++
			shown.Skipped = new(junitNone)
		case !step.Passed:
			suite.Failures++
			shown.Failure = &junitWhy{Message: p.problem(step), Text: p.problem(step)}
			if step.Problem != nil {
				shown.Failure.Type = step.Problem.Code
			}
		}
		suite.Cases = append(suite.Cases, shown)
	}
	if !p.run.Passed && suite.Failures == 0 { // it was aborted between two steps
		suite.Tests, suite.Errors = suite.Tests+1, 1
		said := p.problems()[0]
		suite.Cases = append(suite.Cases, junitCase{Name: "run", Class: p.file, Time: "0.000", Error: &junitWhy{Type: p.run.State, Message: said, Text: said}})
	}
	return suite
}

func inSeconds(ms int64) string {
	return fmt.Sprintf("%.3f", (time.Duration(ms) * time.Millisecond).Seconds())
}
