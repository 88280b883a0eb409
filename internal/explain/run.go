package explain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/pkg/config"
)

// Journals returns where a manager keeps its journals; control.Client implements it. The manager writes its journals before it answers.
type Journals interface {
	Status(ctx context.Context, runner string) (control.Status, error)
}

// Request is one call of `taskscaler explain`.
type Request struct {
	Instance, Key, At string // at most one
	Runner            string // name, id or position
	Config            string // a config.toml: read the journal of its runner
	Journal           string // a journal to read. Without Config and Journal: the journal of the running manager
	Last              int
	JSON              bool
	Location          *time.Location
	Now               time.Time
	Out               io.Writer
	Journals          func() (Journals, error) // the running manager
}

// Check returns an error if the flags are wrong.
func (q *Request) Check() error {
	asked := 0
	for _, s := range []string{q.Instance, q.Key, q.At} {
		if s != "" {
			asked++
		}
	}
	switch {
	case asked > 1:
		return errors.New("--instance, --key and --at exclude each other: use one of them")
	case q.Journal != "" && q.Config != "":
		return errors.New("--journal and --config exclude each other: use one of them")
	case q.Journal != "" && q.Runner != "":
		return errors.New("--journal and --runner exclude each other, because a journal belongs to one runner: remove --runner")
	case q.Last < 1:
		return errors.New("--last is too small: use 1 or more")
	}
	if q.At != "" {
		if _, err := When(q.At, q.Now.In(q.Location)); err != nil {
			return fmt.Errorf("--at: %w", err)
		}
	}
	return nil
}

// Run finds the journal and writes the answer.
func Run(ctx context.Context, q Request) error {
	if err := q.Check(); err != nil {
		return err
	}
	where, err := (&Source{Runner: q.Runner, Config: q.Config, Journal: q.Journal, Journals: q.Journals}).find(ctx)
	if err != nil {
		return err
	}
	question := Question{Instance: q.Instance, Key: q.Key, Location: q.Location, Last: q.Last, Now: q.Now, Running: where.running}
	if q.At != "" {
		if question.At, err = When(q.At, q.Now.In(q.Location)); err != nil {
			return err
		}
	}
	d, err := Answer(question, FromJournal(ctx, where.path))
	if err != nil {
		return err
	}
	d.Runner = where.runner
	if !q.JSON {
		return d.Text(q.Out)
	}
	return json.NewEncoder(q.Out).Encode(d)
}

// place is the path of a journal and the name of its runner.
type place struct {
	path, runner string
	running      bool
}

// Source says which journal is read.
type Source struct {
	Runner   string // name, id or position
	Config   string // a config.toml: read the journal of its runner
	Journal  string // a journal to read. Without Config and Journal: the journal of the running manager
	Journals func() (Journals, error)
}

func (q *Source) find(ctx context.Context) (place, error) {
	switch {
	case q.Journal != "":
		return place{path: q.Journal}, nil
	case q.Config != "":
		return q.fromConfig()
	}
	journals, err := q.Journals()
	if err != nil {
		return place{}, err
	}
	status, err := journals.Status(ctx, q.Runner)
	if err != nil {
		var away *control.AwayError
		if errors.As(err, &away) && away.Gone() {
			return place{}, fmt.Errorf("%w; or read the journal of a stopped manager with --config FILE or --journal DIR", err)
		}
		return place{}, err
	}
	return one(status.Runners)
}

// one returns the only running runner.
func one(runners []control.RunnerStatus) (place, error) {
	var names []string
	var found *control.RunnerStatus
	for i := range runners {
		if r := &runners[i]; r.Fleet != nil {
			names = append(names, fmt.Sprintf("%d: %s", r.Position, r.Name))
			found = r
		}
	}
	switch {
	case len(names) == 0:
		return place{}, errors.New("the manager has no running runner to explain: `taskscaler status` says why")
	case len(names) > 1:
		return place{}, fmt.Errorf("the manager has %d runners; choose one with --runner: %s", len(names), strings.Join(names, "; "))
	case found.Journal == "":
		return place{}, fmt.Errorf("runner %q has no journal, so nothing can be explained: %s; if the journal is already enabled, the manager could "+
			"not open it: see its log", found.Name, journalRemedy)
	}
	return place{path: found.Journal, runner: found.Name, running: true}, nil
}

const journalRemedy = "set enabled = true in [runners.autoscaler.journal] (the default) and restart the manager"

// fromConfig returns the journal of a runner of a configuration file.
func (q *Source) fromConfig() (place, error) {
	file, report, err := config.Load(q.Config)
	if err == nil {
		err = report.Err()
	}
	if err != nil {
		return place{}, err
	}
	found, err := file.Select(q.Runner)
	if err != nil {
		return place{}, err
	}
	if len(found) > 1 {
		var names []string
		for _, r := range found {
			names = append(names, fmt.Sprintf("%d: %s", r.Index, r.Label()))
		}
		return place{}, fmt.Errorf("%s has %d runners with [runners.autoscaler]; choose one with --runner: %s", q.Config, len(found), strings.Join(names, "; "))
	}
	return ofRunner(found[0])
}

// ofRunner returns a runner's journal in its state directory. If another runner has the same identity, the directory name also has the
// provider group in it.
func ofRunner(r config.Runner) (place, error) {
	dir := r.Autoscaler.StateStorage.Dir
	pattern := filepath.Join(dir, r.Identity(), journalDir)
	if r.Shared {
		pattern = filepath.Join(dir, r.Identity()+"-*", journalDir)
	}
	found, err := filepath.Glob(pattern)
	if err != nil {
		return place{}, fmt.Errorf("cannot look for the journal: %w", err)
	}
	switch {
	case len(found) == 0:
		return place{}, fmt.Errorf("%s has no journal at %s: no manager has run with this file, or the journal is disabled: %s", r.Label(), pattern, journalRemedy)
	case len(found) > 1:
		return place{}, fmt.Errorf("there are several journals; choose one with --journal: %s", strings.Join(found, ", "))
	}
	if _, err := os.Stat(found[0]); errors.Is(err, fs.ErrPermission) {
		return place{}, fmt.Errorf("%w: run this command as the user of the manager", err)
	}
	name := r.Name
	if name == "" {
		name = r.Label()
	}
	return place{path: found[0], runner: name}, nil
}

// journalDir is the name of the journal's folder in the state directory of a runner.
const journalDir = "journal"
