package main

import (
	"fmt"
	"io"
	"os"
)

// progress is a line on a terminal that says how far a command is. On anything
// else it says nothing.
type progress struct {
	w    io.Writer // nil: no terminal, or ended
	said bool
}

func newProgress(w io.Writer) *progress {
	f, ok := w.(*os.File)
	if !ok {
		return &progress{}
	}
	if about, err := f.Stat(); err != nil || about.Mode()&os.ModeCharDevice == 0 {
		return &progress{}
	}
	return &progress{w: w}
}

// say replaces the line.
func (p *progress) say(text string) {
	if p.w != nil {
		fmt.Fprintf(p.w, "\r\x1b[K%s", text)
		p.said = true
	}
}

// end makes room for what is printed next.
func (p *progress) end() {
	if p.said {
		fmt.Fprintln(p.w)
	}
	p.w, p.said = nil, false
}
