package bulk

import (
	"context"
	"fmt"
	"time"

	"portaria/messaging"
	"portaria/outbox/pace"
)

// outcomeAccepted is all that can be told of a live recipient beforehand.
const outcomeAccepted = "accepted"

// skipsBatch is how many persons the store is asked about at once.
const skipsBatch = 500

// Rehearse answers what Accept would do with a draft, and what would become of
// its rows as things stand now. It neither pays nor stores. Rows that cannot be
// sent are no error here. Faults: those of the template, the number of rows, their
// size and Rows.
func (s *Service) Rehearse(ctx context.Context, d Draft) (Rehearsal, error) {
	c, err := newChecker(&d, s.refuses)
	if err != nil {
		return Rehearsal{}, err
	}
	p := &rehearsing{
		s: s, ctx: ctx, bulk: s.bulk(&d, c), checker: c,
		result: Rehearsal{Outcomes: make(map[string]int64)}, turns: make(map[string]int),
	}
	if err := c.run(ctx, p.take); err != nil {
		return Rehearsal{}, err
	}
	if err := p.ask(); err != nil {
		return Rehearsal{}, err
	}
	return p.finish(), nil
}

// rehearsing is a rehearsal on its way.
type rehearsing struct {
	s       *Service
	ctx     context.Context // of the one call that it lives for
	bulk    messaging.Bulk
	checker *checker
	result  Rehearsal
	persons []string // of the rows that the store is asked about next
	ends    []string // where these would end
	turns   map[string]int
}

// take notes the outcome of one row.
func (p *rehearsing) take(j *judged) error {
	if j.stored.Reason != "" {
		p.result.Outcomes[j.stored.Reason]++
		return nil
	}
	if p.overCap(j.person) {
		p.result.Outcomes[messaging.SkippedFrequency]++
		p.result.Skipped++
		return nil
	}
	end := outcomeAccepted
	if p.bulk.Environment == messaging.Test {
		end = p.s.predict(j.to, p.bulk.Options.Sandbox)
	}
	p.persons, p.ends = append(p.persons, j.person), append(p.ends, end)
	if len(p.persons) == skipsBatch {
		return p.ask()
	}
	return nil
}

// overCap reports whether the bulk's earlier rows alone use up what a person may
// get.
func (p *rehearsing) overCap(person string) bool {
	most := p.bulk.Options.FrequencyCap
	if most == nil || p.bulk.Options.Dedupe {
		return false
	}
	p.turns[person]++
	return p.turns[person] > most.Max
}

// ask has the store tell who would be skipped.
func (p *rehearsing) ask() error {
	if len(p.persons) == 0 {
		return nil
	}
	skips, err := p.s.store.BulkSkips(p.ctx, p.bulk, p.bulk.CreatedAt, p.persons)
	if err != nil {
		return fmt.Errorf("rehearse: %w", err)
	}
	for i, person := range p.persons {
		if reason, ok := skips[person]; ok {
			p.result.Outcomes[reason]++
			p.result.Skipped++
			continue
		}
		p.result.Outcomes[p.ends[i]]++
		p.result.Valid++
	}
	p.persons, p.ends = p.persons[:0], p.ends[:0]
	return nil
}

// finish adds what is known when all rows are.
func (p *rehearsing) finish() Rehearsal {
	r, c := &p.result, p.checker
	r.Total, r.Invalid, r.Faults, r.Refused = c.total, c.invalid, c.faults, c.verdict() != nil
	r.Skipped += c.duplicates
	r.RequestTokens, r.MessageTokens = (c.valid+99)/100, c.valid
	f := p.s.forecast(p.ctx, &p.bulk, nil)
	r.Starts = f.start
	if r.Valid == 0 || len(f.senders) == 0 {
		return *r
	}
	f.left = r.Valid
	r.Ends = f.run().Truncate(time.Microsecond)
	r.Starts = pace.Later(f.start, f.first)
	r.Duration = r.Ends.Sub(r.Starts)
	return *r
}
