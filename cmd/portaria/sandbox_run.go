package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// sandboxRunCmd plays scripts.
type sandboxRunCmd struct {
	apiFlags

	Files    []string `arg:"" name:"file" help:"Scripts in YAML or JSON; - reads standard input." placeholder:"FILE"`
	Instance string   `help:"Play on this instance, by id or name, instead of one of the run's own." placeholder:"INSTANCE"`
	Name     string   `help:"What the run is called (default: as the script says, else as its file)." placeholder:"NAME"`
	Seed     string   `help:"Draw ids from this text, so that they are the same every time." placeholder:"TEXT"`
	Parallel int      `default:"4" help:"How many scripts are played at once." placeholder:"N"`
	JUnit    string   `name:"junit" help:"Also write what came of it as JUnit XML, which CI systems show." placeholder:"FILE"`
}

// Help implements kong.HelpProvider.
func (sandboxRunCmd) Help() string {
	return `A script says what happens and what is to come of it; see docs/sandbox.md. The key needs sandbox:run, and whatsapp:send for
scripts that send. Ends with 0 when every run passed, with 1 when one failed, and with 2 when one could not be played: a
broken script, an instance that is not there, a server that does not answer.

  portaria sandbox run order.yaml
  portaria sandbox run tests/*.yaml --junit report.xml
  portaria sandbox run order.yaml --instance shop --seed 1 --json
  echo '{"steps":[{"send":{"to":"+15005550006","text":"Hi"}},{"expect":{"event":"message.read"}}]}' | portaria sandbox run -`
}

// runPatience is how long the server may play a script.
const runPatience = time.Minute

// Run implements the command.
func (cmd *sandboxRunCmd) Run(ctx context.Context, c *Config, io streams) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := cmd.check(); err != nil {
		return err
	}
	api, err := cmd.client(runPatience)
	if err != nil {
		return err
	}
	plays, readable := cmd.read(io)
	if readable { // else nothing is played: which of them ran would be chance
		cmd.play(ctx, api, plays)
	}
	report := newPlayPrinter(c, io)
	for _, p := range plays {
		<-p.done
		if err := report.add(p); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return toldError("interrupted; the server ends what it has begun")
	}
	if err := cmd.writeJUnit(plays); err != nil {
		return err
	}
	return report.end(plays)
}

// check refuses flags that cannot go together.
func (cmd *sandboxRunCmd) check() error {
	switch {
	case len(cmd.Files) > 1 && cmd.Name != "":
		return usageError("--name: with one file only")
	case len(cmd.Files) > 1 && cmd.Seed != "":
		return usageError("--seed: with one file only; several would draw the same ids")
	case cmd.Parallel < 1 || cmd.Parallel > 64:
		return usageError("--parallel: must lie between 1 and 64")
	}
	input := 0
	for _, file := range cmd.Files {
		if file == standardInput {
			input++
		}
	}
	if input > 1 {
		return usageError("<file>: standard input can be read once")
	}
	return nil
}

// play is one script and what came of it.
type play struct {
	file   string
	script *script        // nil: the file is broken
	data   jsontext.Value // the run as it was answered; empty when it was not played
	run    runView
	err    error         // why it was not played
	done   chan struct{} // closed when the rest is known
}

// read reads all files, and reports whether each is a script.
func (cmd *sandboxRunCmd) read(io streams) (plays []*play, readable bool) {
	readable = true
	for _, file := range cmd.Files {
		p := &play{file: scriptName(file), done: make(chan struct{})}
		if p.script, p.err = readScript(file, io.in); p.err != nil {
			readable = false
		}
		plays = append(plays, p)
	}
	if readable {
		return plays, true
	}
	for _, p := range plays {
		if p.err == nil {
			p.err = errScript.Saying(p.file + ": not played, because another file is broken")
		}
		close(p.done)
	}
	return plays, false
}

// play plays the scripts side by side, in the background.
func (cmd *sandboxRunCmd) play(ctx context.Context, api *apiClient, plays []*play) {
	waiting := make(chan *play, len(plays))
	for _, p := range plays {
		waiting <- p
	}
	close(waiting)
	alone := new(sync.RWMutex)
	for range min(cmd.Parallel, len(plays)) {
		go func() {
			for p := range waiting {
				cmd.playOne(ctx, api, alone, p)
				close(p.done)
			}
		}()
	}
}

// playOne plays a script. One that meets another on its instance is played again
// when no other is under way.
func (cmd *sandboxRunCmd) playOne(ctx context.Context, api *apiClient, alone *sync.RWMutex, p *play) {
	alone.RLock()
	p.data, p.err = cmd.askPatiently(ctx, api, p.script)
	alone.RUnlock()
	if refused, ok := errors.AsType[*refusal](p.err); ok && refused.Code == "SANDBOX_RUN_IN_PROGRESS" && len(cmd.Files) > 1 {
		alone.Lock()
		p.data, p.err = cmd.askPatiently(ctx, api, p.script)
		alone.Unlock()
	}
	if p.err == nil && json.Unmarshal(p.data, &p.run) != nil {
		p.data, p.err = nil, errStrangeAnswer
	}
}

// askPatiently asks again, for limitPatience at most, while the key has used up
// its rate: a run that was refused for that has not begun.
func (cmd *sandboxRunCmd) askPatiently(ctx context.Context, api *apiClient, s *script) (jsontext.Value, error) {
	var waited time.Duration
	for {
		data, err := cmd.ask(ctx, api, s)
		if !limited(err) {
			return data, err
		}
		wait := askedWait(err)
		if waited += wait; waited > limitPatience || !pause(ctx, wait) {
			return nil, err
		}
	}
}

// ask has the server play a script.
func (cmd *sandboxRunCmd) ask(ctx context.Context, api *apiClient, s *script) (jsontext.Value, error) {
	name := cmd.Name
	if _, said := s.body["name"]; name == "" && !said {
		name = s.title()
	}
	for member, value := range map[string]string{"name": name, "instance": cmd.Instance} {
		if value == "" {
			continue
		}
		text, err := jsontext.AppendQuote(nil, value)
		if err != nil {
			return nil, usageError(fmt.Sprintf("--%s: must be valid UTF-8", member))
		}
		s.body[member] = text
	}
	req, err := api.jsonRequest(ctx, http.MethodPost, "/v1/sandbox/runs", s.body)
	if err != nil {
		return nil, err
	}
	if cmd.Seed != "" {
		req.Header.Set("X-Sandbox-Seed", cmd.Seed)
	}
	return api.do(req)
}
