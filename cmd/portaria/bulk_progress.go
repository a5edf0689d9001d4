package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
)

// bulkProgress shows people how far a bulk is.
type bulkProgress interface {
	// show shows the bulk as it stands; speed is in words, and may be empty.
	show(b *bulkView, speed string)
	// note says something else in between.
	note(text string)
	// end shows what has not been shown yet.
	end()
}

// newBulkProgress draws a bar on a terminal, and elsewhere writes lines.
func newBulkProgress(out io.Writer) bulkProgress {
	if f, ok := out.(*os.File); ok && isTerminal(f) && os.Getenv("TERM") != "dumb" {
		return &progressBar{out: out}
	}
	return &progressLines{out: out}
}

// progressBar is a line that is drawn again and again.
type progressBar struct {
	out io.Writer
	bar *progressbar.ProgressBar // nil before the first sight
}

// barWidth is how wide the bar itself is where the terminal is wide enough.
const barWidth = 30

func (p *progressBar) show(b *bulkView, speed string) {
	if p.bar == nil {
		p.bar = progressbar.NewOptions64(b.Counts.Total,
			progressbar.OptionSetWriter(p.out), progressbar.OptionSetWidth(barWidth), progressbar.OptionUseANSICodes(true),
			progressbar.OptionShowCount(), progressbar.OptionShowDescriptionAtLineEnd(), progressbar.OptionSetPredictTime(false))
	}
	text := string(b.State)
	if speed != "" {
		text += ", " + speed
	}
	if b.Counts.Failed > 0 {
		text += fmt.Sprintf("; %d failed", b.Counts.Failed)
	}
	p.bar.Describe(text)
	_ = p.bar.Set64(b.Counts.gone()) // it complains about drawing alone
}

func (p *progressBar) note(text string) {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
	fmt.Fprintln(p.out, "portaria:", text)
}

func (p *progressBar) end() {
	if p.bar != nil {
		fmt.Fprintln(p.out)
	}
}

// lineEvery is how often a line is written at most.
const lineEvery = time.Second

// progressLines writes a line when something has changed.
type progressLines struct {
	out     io.Writer
	counts  string    // what the last line said, without the speed
	written time.Time // when that was
	waiting string    // a line for which it was too early; empty: none
}

func (p *progressLines) show(b *bulkView, speed string) {
	counts := fmt.Sprintf("%s: %d of %d done (%s)", b.State, b.Counts.gone(), b.Counts.Total, &b.Counts)
	if counts == p.counts {
		return
	}
	p.counts, p.waiting = counts, counts
	if speed != "" {
		p.waiting += "; " + speed
	}
	if time.Since(p.written) >= lineEvery {
		p.end()
	}
}

func (p *progressLines) note(text string) { fmt.Fprintln(p.out, "portaria:", text) }

func (p *progressLines) end() {
	if p.waiting != "" {
		fmt.Fprintln(p.out, p.waiting)
		p.waiting, p.written = "", time.Now()
	}
}
