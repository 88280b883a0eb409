package simcmd

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/taskscaler/taskscaler/pkg/simulate/report"
)

// The formats of a report.
const (
	Text = "text"
	JSON = "json"
	CSV  = "csv"
	HTML = "html"
)

// Output says how a report is written.
type Output struct {
	Format string // Text, JSON, CSV or HTML; empty: the extension of File decides, else Text
	File   string // empty: standard output
}

// resolve sets the format if it is empty, and checks it.
func (o *Output) resolve(known ...string) error {
	if o.Format == "" {
		switch end := strings.TrimPrefix(strings.ToLower(filepath.Ext(o.File)), "."); {
		case slices.Contains(known, end):
			o.Format = end
		case end == "" || end == "txt" || end == "log" || end == "md":
			o.Format = Text
		default:
			return usage("output", fmt.Sprintf("ends in .%s, which is not a format of a report: use .txt, or one of .%s, or add --format", end,
				strings.Join(slices.DeleteFunc(slices.Clone(known), func(k string) bool { return k == Text }), ", .")))
		}
	}
	if !slices.Contains(known, o.Format) {
		return usage("format", fmt.Sprintf("is %q, which is not a known format: use one of %s", o.Format, strings.Join(known, ", ")))
	}
	return nil
}

// textOptions returns the options for a terminal if the report goes to one.
func (o *Output) textOptions(s *Streams) report.TextOptions {
	if o.File != "" || s.Screen == nil {
		return report.TextOptions{}
	}
	return report.TextOptions{Width: s.Width, Color: true}
}

// write renders the whole report before it writes the first byte. So a failed rendering leaves no half of a report.
func (o *Output) write(s *Streams, render func(w io.Writer) error) error {
	var page bytes.Buffer
	if err := render(&page); err != nil {
		return err
	}
	if o.File == "" {
		out := s.Out
		if o.Format == Text && s.Screen != nil {
			out = s.Screen // it has colours
		}
		if _, err := out.Write(page.Bytes()); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
		return nil
	}
	if err := os.WriteFile(o.File, page.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	s.note("the report is in %s", o.File)
	return nil
}
