package model

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/pelletier/go-toml/v2"
	"github.com/taskscaler/taskscaler/internal/nearest"
	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/simulate"
)

// maxFileSize is far larger than a model needs. Samples of boot times are its largest part.
const maxFileSize = 4 << 20

// manual documents every key of a model.
const manual = "docs/simulation.md"

// Model is a cloud as a file describes it. The zero Model is a cloud without delays and failures, whose changes are seen at the next poll.
type Model struct {
	Cloud   cloudmodel.Config
	Ready   cloudmodel.Distribution // from running to ready for a job
	Instant bool                    // changes are known at once, not at the next list
	Shape   string                  // the shape that was chosen; empty: none
	Shapes  []string                // the shapes in the file, sorted
}

// Apply sets the options that describe the cloud. It does not change any others.
func (m *Model) Apply(o *simulate.Options) {
	o.Cloud, o.Ready, o.Instant = m.Cloud, m.Ready, m.Instant
}

// Read reads the model at path. shape chooses one of its [shapes.NAME]; if it is empty, the file's own choice is used, if it has one. The
// error is a config.Faults with all faults of the file, or says why the file cannot be read.
func Read(path, shape string) (*Model, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	if len(data) > maxFileSize {
		return nil, fmt.Errorf("read model: %s is larger than %d MiB: is it a model?", path, maxFileSize>>20)
	}
	return Parse(path, data, shape)
}

// Parse is Read for data in memory. path is used in messages only.
func Parse(path string, data []byte, shape string) (*Model, error) {
	var values map[string]any
	if err := toml.Unmarshal(data, &values); err != nil {
		return nil, syntaxFault(path, err)
	}
	places, err := positions(data)
	if err != nil {
		return nil, syntaxFault(path, err)
	}
	r := &reader{path: path, places: places}
	m := r.model(values, shape)
	if err := r.err(); err != nil {
		return nil, err
	}
	return m, nil
}

func syntaxFault(path string, err error) error {
	p := config.Problem{Severity: config.Fault, Code: config.CodeSyntax, Path: path, Message: "not valid TOML: " + err.Error()}
	var decode *toml.DecodeError
	if errors.As(err, &decode) {
		p.Line, p.Column = decode.Position()
	}
	return config.Faults{p}
}

// layer holds what a preset, the top of the file, or a shape can set.
type layer struct {
	cloudmodel.Config
	Ready     cloudmodel.Distribution `toml:"ready"`
	Discovery struct {
		Mode string `toml:"mode"`
	} `toml:"discovery"`
}

// model reads the layers. It also reads the shapes that were not chosen: a fault in them is reported.
func (r *reader) model(values map[string]any, shape string) *Model {
	head := maps.Clone(values)
	for _, own := range []string{"shape", "shapes"} {
		delete(head, own)
	}
	var base layer
	r.layer(&base, head, "")
	told := r.check(&base, "", nil)

	m, shapes := &Model{Shape: shape}, r.shapes(values)
	chosen := base
	if shape == "" {
		m.Shape = r.text(values, "shape")
	}
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		m.Shapes = append(m.Shapes, name)
		own := base
		r.layer(&own, shapes[name], "shapes."+bare(name)+".")
		r.check(&own, "shapes."+bare(name)+".", told)
		if name == m.Shape {
			chosen = own
		}
	}
	if m.Shape != "" && !slices.Contains(m.Shapes, m.Shape) {
		r.fault(config.CodeValue, "shape", fmt.Sprintf("there is no shape %q in this file", m.Shape), nearest.Remedy(m.Shape, m.Shapes, manual))
	}
	m.Cloud, m.Ready, m.Instant = chosen.Config, chosen.Ready, chosen.Discovery.Mode == "instant"
	return m
}

// layer applies the preset that values name, then values themselves, to l.
func (r *reader) layer(l *layer, values map[string]any, prefix string) {
	if name := r.text(values, prefix+"preset"); name != "" {
		if preset, ok := presets()[name]; ok {
			(&reader{path: "preset " + name, places: map[string]place{}}).fill(l, preset, "")
		} else {
			r.fault(config.CodeValue, prefix+"preset", fmt.Sprintf("unknown preset %q", name), nearest.Remedy(name, presetNames(), manual))
		}
	}
	r.fill(l, values, prefix)
}

// shapes returns the tables of [shapes]. Other values there are faults.
func (r *reader) shapes(values map[string]any) map[string]map[string]any {
	all, out := values["shapes"], map[string]map[string]any{}
	if all == nil {
		return out
	}
	tables, ok := all.(map[string]any)
	if !ok {
		r.mistyped("shapes", all, "a table", "write each shape as [shapes.NAME]")
	}
	for name, v := range tables {
		if t, ok := v.(map[string]any); ok {
			out[name] = t
		} else {
			r.mistyped("shapes."+bare(name), v, "a table", "write each shape as [shapes.NAME]")
		}
	}
	return out
}
