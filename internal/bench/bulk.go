package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/sync/errgroup"
)

const (
	// bulkRows is the largest bulk of one request.
	bulkRows = 100_000
	// urgentConns send urgent messages, a few at a time and steadily: what is asked
	// is how long each waits, not how many fit.
	urgentConns = 4
	urgentRate  = 200 // a second
	// bulkLimit bounds how long a bulk may take to its end.
	bulkLimit = 5 * time.Minute
)

// bulkVariants are what is measured of bulks on one database.
func (b *bench) bulkVariants(engine string) []variant {
	all := []variant{
		{name: bareRowsOn(engine), run: func(ctx context.Context) (sample, error) { return b.bareRows(ctx, engine) }},
		{name: bulkOn(engine), run: func(ctx context.Context) (sample, error) { return b.bulkAccept(ctx, engine) }},
		{name: urgentOn(engine), run: func(ctx context.Context) (sample, error) { return b.urgent(ctx, engine) }},
	}
	for _, n := range []int{1, 10, 100} {
		all = append(all, variant{name: drainOn(engine, n), run: func(ctx context.Context) (sample, error) { return b.drain(ctx, engine, n) }})
	}
	return all
}

// bulkMetrics are the rows of bulks.
func bulkMetrics(engine string) []metric {
	bare := "COPY"
	if engine == sqlite {
		bare = "prepared inserts"
	}
	bulk, urgent := bulkOn(engine), urgentOn(engine)
	all := []metric{
		{name: "bulk of 100,000 accepted ÷ " + bare, of: figure{bulk, rate}, by: &figure{bareRowsOn(engine), rate}, must: 0.5, aim: 0.8, more: true},
		{name: "memory that accepting it took", of: figure{bulk, megabytes}, unit: "MB"},
		{name: "p99 of urgent accepts beside a bulk ÷ quiet", of: figure{urgent, p99}, by: &figure{urgent, quietP99}, must: 5, aim: 2},
	}
	for _, n := range []int{1, 10, 100} {
		all = append(all, metric{name: "bulk to read, " + instancesOf(n), of: figure{drainOn(engine, n), rate}, unit: "/s", more: true})
	}
	for i := range all {
		all[i].section, all[i].engine = sectionBulk, engine
	}
	return all
}

func instancesOf(n int) string {
	if n == 1 {
		return "1 instance"
	}
	return strconv.Itoa(n) + " instances"
}

// bulkBody is a request for a bulk of n rows.
func bulkBody(n int, more string) []byte {
	var b bytes.Buffer
	b.WriteString(`{"message":{"text":"Hello {{name}}, your order {{order}} is on its way and arrives today."},` + more + `"recipients":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"to":"+55119%08d","variables":{"name":"Customer %d","order":"A-%07d"}}`, i, i, i)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

// postBulk posts a bulk and returns its id.
func (p *product) postBulk(path string, body []byte) (id string, err error) {
	request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(request)
	defer fasthttp.ReleaseResponse(response)
	request.SetRequestURI("http://" + p.address + path)
	request.Header.SetMethod(http.MethodPost)
	request.Header.Set("Authorization", "Bearer "+p.home.token)
	request.Header.SetContentType("application/json")
	request.SetBodyRaw(body)
	if err := p.client.DoTimeout(request, response, time.Minute); err != nil {
		return "", fmt.Errorf("POST %s: %w", path, err)
	}
	if status := response.StatusCode(); status != http.StatusAccepted {
		return "", fmt.Errorf("POST %s: %w: %d: %.300s", path, errStatus, status, response.Body())
	}
	var answer struct{ Data struct{ ID string } }
	err = json.Unmarshal(response.Body(), &answer)
	return answer.Data.ID, err
}

// bulkAccept measures how fast a bulk is accepted, from the request's first
// byte to the 202. Its instance is not connected: nothing is sent meanwhile.
func (b *bench) bulkAccept(ctx context.Context, engine string) (_ sample, err error) {
	p, err := b.serve(ctx, engine, true)
	if err != nil {
		return nil, err
	}
	defer p.end()
	path, body := "/v1/instances/"+theInstance+"/bulk", bulkBody(bulkRows, "")
	if _, err := p.postBulk(path, bulkBody(1000, "")); err != nil {
		return nil, fmt.Errorf("warm-up: %w", err)
	}
	stop, err := b.profile(ctx, p.pid, bulkOn(engine))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	idle, err := peakMemory(p.pid)
	if err != nil {
		return nil, err
	}
	before, err := p.meter.read()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if _, err := p.postBulk(path, body); err != nil {
		return nil, err
	}
	took := time.Since(began)
	after, err := p.meter.read()
	if err != nil {
		return nil, err
	}
	peak, err := peakMemory(p.pid)
	return sample{
		rate: bulkRows / took.Seconds(), cpu: float64(after-before) / float64(time.Microsecond) / bulkRows,
		megabytes: float64(peak-idle) / 1e6,
	}, err
}

// peakMemory returns the most memory that a process has had at once, in bytes.
func peakMemory(pid int) (int64, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(text) {
		rest, ok := bytes.CutPrefix(line, []byte("VmHWM:"))
		if !ok {
			continue
		}
		kilobytes, err := strconv.ParseInt(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte("kB")))), 10, 64)
		return kilobytes << 10, err
	}
	return 0, errors.New("no VmHWM in status")
}

// drain measures a bulk from its acceptance until the last message was read, on
// the instant clock.
func (b *bench) drain(ctx context.Context, engine string, instances int) (sample, error) {
	p, err := b.serve(ctx, engine, false)
	if err != nil {
		return nil, err
	}
	defer p.end()
	names, err := p.moreInstances(ctx, instances)
	if err != nil {
		return nil, err
	}
	if err := p.call(http.MethodPut, "/v1/sandbox/clock", map[string]string{"mode": "instant"}, nil); err != nil {
		return nil, err
	}
	list := `"instances":["` + names[0] + `"`
	for _, name := range names[1:] {
		list += `,"` + name + `"`
	}
	bulk := func(n int) error {
		id, err := p.postBulk("/v1/bulk", bulkBody(n, list+"],"))
		if err != nil {
			return err
		}
		return p.untilBulkRead(ctx, id, n)
	}
	if err := bulk(max(b.o.messages/10, instances)); err != nil {
		return nil, fmt.Errorf("warm-up: %w", err)
	}
	return b.measured(ctx, drainOn(engine, instances), p, b.o.messages, func() error { return bulk(b.o.messages) })
}

// untilBulkRead waits until all messages of a bulk have been read.
func (p *product) untilBulkRead(ctx context.Context, id string, n int) error {
	var bulk struct {
		State  string
		Counts map[string]int
	}
	err := within(ctx, bulkLimit, "the bulk is read", func() (bool, error) {
		err := p.call(http.MethodGet, "/v1/bulk/"+id, nil, &bulk)
		return bulk.State == "completed" && bulk.Counts["read"] == n, err
	})
	if err != nil {
		return fmt.Errorf("%w: it is %s, %v", err, bulk.State, bulk.Counts)
	}
	return nil
}

// urgent measures the accepts of single messages, first alone, then while a
// bulk of 100,000 is accepted and sent.
func (b *bench) urgent(ctx context.Context, engine string) (sample, error) {
	p, err := b.serve(ctx, engine, false)
	if err != nil {
		return nil, err
	}
	defer p.end()
	t := p.target(theInstance)
	pace := time.Second * urgentConns / urgentRate
	quiet, err := hammer(ctx, t, urgentConns, b.window(), pace)
	if err != nil {
		return nil, err
	}
	body := bulkBody(bulkRows, "")
	w := window{from: time.Now(), until: time.Now().Add(b.o.warm + b.o.measure)}
	var loud []time.Duration
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		loud, err = hammer(ctx, t, urgentConns, w, pace)
		return err
	})
	group.Go(func() error {
		id, err := p.postBulk("/v1/instances/"+theInstance+"/bulk", body)
		if err != nil {
			return err
		}
		return b.stillRuns(ctx, p, id, w)
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return sample{quietP99: milliseconds(percentile(quiet, 0.99)), p99: milliseconds(percentile(loud, 0.99))}, nil
}

// stillRuns waits for the end of a window, and says so when the bulk ended
// before it.
func (b *bench) stillRuns(ctx context.Context, p *product, id string, w window) error {
	if err := sleepUntil(ctx, w.until); err != nil {
		return err
	}
	var bulk struct{ State string }
	if err := p.call(http.MethodGet, "/v1/bulk/"+id, nil, &bulk); err != nil {
		return err
	}
	if bulk.State != "running" {
		fmt.Fprintf(b.progress, "the bulk is %s before the window closed: take a shorter -duration\n", bulk.State)
	}
	return nil
}
