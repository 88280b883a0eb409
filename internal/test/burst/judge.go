package burst

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

// judge compares the output of the jobs with the records of their instances, and returns the last line. It returns all differences as one
// error.
func judge(seen observed, entries []record.Entry, stopping time.Time) (string, error) {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }

	commands := map[string][]record.Command{}
	type place struct{ instance, slot string }
	users := map[place]int{}
	for _, c := range record.Commands(entries) {
		if c.Key == "" { // a command of the manager itself, not of a job
			continue
		}
		commands[c.Key] = append(commands[c.Key], c)
		users[place{c.Instance, c.Slot}]++
	}
	good := 0
	for _, j := range seen.jobs {
		if err := checkJob(j, commands[j.key]); err != nil {
			faults = append(faults, err)
			continue
		}
		good++
	}
	if good != JobCount {
		fault("%d of %d jobs are good", good, JobCount)
	}
	for _, overlap := range record.Check(entries) {
		fault("%s", overlap)
	}
	again := 0
	for _, n := range users {
		again += n - 1
	}
	if again == 0 {
		fault("no slot was used twice: the load was too small")
	}
	if seen.waited == 0 {
		fault("no job had to wait: the load was too small")
	}
	created, shrunk := 0, 0
	for _, e := range entries {
		switch {
		case e.Event == record.Created:
			created++
		case e.Event == record.Deleted && e.Time.Before(stopping):
			shrunk++
		}
	}
	if shrunk == 0 {
		fault("the fleet did not shrink before the shutdown")
	}
	left := len(record.Alive(entries))
	if left > 0 {
		fault("%d instances are left: %s", left, strings.Join(record.Alive(entries), ", "))
	}
	return fmt.Sprintf("demo: %d jobs ok, %d instances created, %d left", good, created, left), errors.Join(faults...)
}

// checkJob checks that the job printed its own nonce, and that the instances recorded exactly one command with its key. The command has this
// nonce and exited with 0.
func checkJob(j job, ran []record.Command) error {
	switch {
	case j.err != nil:
		return j.err
	case j.output != j.nonce+"\n":
		return fmt.Errorf("%s printed %q instead of its nonce %s", j.key, j.output, j.nonce)
	case len(ran) != 1:
		return fmt.Errorf("%s ran %d times according to the records of the instances", j.key, len(ran))
	case !strings.Contains(ran[0].Command, j.nonce):
		return fmt.Errorf("%s: instance %s recorded a command without its nonce", j.key, ran[0].Instance)
	case ran[0].ExitCode == nil || *ran[0].ExitCode != 0:
		return fmt.Errorf("%s: instance %s recorded a different exit of its command", j.key, ran[0].Instance)
	}
	return nil
}
