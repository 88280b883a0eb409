package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

// judge compares what the jobs say with what their instances recorded, and makes the last line. Any difference is an error, all of them
// at once.
func judge(seen observed, entries []record.Entry, stopping time.Time) (string, error) {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }

	commands := map[string][]record.Command{}
	type place struct{ instance, slot string }
	users := map[place]int{}
	for _, c := range record.Commands(entries) {
		if c.Key == "" { // the manager's own: nobody's job
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
	if good != jobCount {
		fault("%d of %d jobs are good", good, jobCount)
	}
	for _, overlap := range record.Check(entries) {
		fault("%s", overlap)
	}
	again := 0
	for _, n := range users {
		again += n - 1
	}
	if again == 0 {
		fault("no slot was used twice: that was no burst")
	}
	if seen.waited == 0 {
		fault("no job had to wait: that was no burst")
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

// checkJob: the job printed its own nonce, and an instance recorded exactly one command under its key, with this nonce, which ended well.
func checkJob(j job, ran []record.Command) error {
	switch {
	case j.err != nil:
		return j.err
	case j.output != j.nonce+"\n":
		return fmt.Errorf("%s printed %q instead of its nonce %s", j.key, j.output, j.nonce)
	case len(ran) != 1:
		return fmt.Errorf("%s ran %d times by the instances' records", j.key, len(ran))
	case !strings.Contains(ran[0].Command, j.nonce):
		return fmt.Errorf("%s: instance %s recorded a command without its nonce", j.key, ran[0].Instance)
	case ran[0].ExitCode == nil || *ran[0].ExitCode != 0:
		return fmt.Errorf("%s: instance %s recorded another end of its command", j.key, ran[0].Instance)
	}
	return nil
}
