package statestore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/statestore"
	"github.com/taskscaler/taskscaler/pkg/statestore/storetest"
)

// password is the connect info of instance n. Its text is in the file only if this connect info is.
func password(n int) []byte {
	return fmt.Appendf(nil, "password-of-%06d-%s", n, bytes.Repeat([]byte{'x'}, n%700))
}

// fleetOf returns a commit with the instances from to to-1 in this state, and the connect info of those that exist.
func fleetOf(from, to int, state record.State) statestore.Commit {
	c := statestore.Commit{Changes: new(record.Changes)}
	for n := from; n < to; n++ {
		id := record.ID(fmt.Sprintf("i-%d", n))
		c.Changes.Put = append(c.Changes.Put, record.Instance{ID: id, Serial: uint64(n), State: state})
		if state != record.Gone {
			c.Secrets = append(c.Secrets, statestore.Secret{ID: id, Value: password(n)})
		}
	}
	return c
}

// found returns which of the passwords 0 to n-1 are in the files of the directory, whoever they belong to.
func found(t *testing.T, dir string, n int) (in []int) {
	t.Helper()
	for _, name := range names(t, dir) {
		raw, err := os.ReadFile(dir + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if bytes.Contains(raw, fmt.Appendf(nil, "password-of-%06d", i)) {
				in = append(in, i)
			}
		}
	}
	return in
}

// TestSecretsOfDeletedInstancesLeaveTheFile: after the documented delay, and after a Close.
func TestSecretsOfDeletedInstancesLeaveTheFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir() + "/group"
		b := openBolt(t, dir)
		for n := 0; n < 300; n += 20 { // each commit copies pages, with the passwords in them
			commit(t, b, fleetOf(n, n+20, record.Ready))
		}
		for n := 0; n < 200; n += 10 {
			commit(t, b, fleetOf(n, n+10, record.Gone))
		}
		commit(t, b, statestore.Commit{Changes: &record.Changes{Drop: []record.ID{"i-200"}}})
		commit(t, b, statestore.Commit{Secrets: []statestore.Secret{{ID: "i-201", Value: []byte("another")}}})
		if len(found(t, dir, 202)) == 0 {
			t.Fatal("bbolt overwrites what is free: this test and what it tests are not needed any more")
		}
		time.Sleep(statestore.ScrubDelay)
		synctest.Wait()
		if left := found(t, dir, 202); len(left) > 0 {
			t.Errorf("the passwords of %v are in the file %v after the last commit", left, statestore.ScrubDelay)
		}
		if live := found(t, dir, 300); len(live) != 98 {
			t.Errorf("%d of 98 passwords are left of instances that exist", len(live))
		}
		commit(t, b, fleetOf(202, 250, record.Gone))
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		if left := found(t, dir, 250); len(left) > 0 {
			t.Errorf("the passwords of %v are in the file after Close", left)
		}
		var m storetest.Model
		m.Apply(fleetOf(0, 300, record.Ready))
		m.Apply(fleetOf(0, 200, record.Gone))
		m.Apply(statestore.Commit{Changes: &record.Changes{Drop: []record.ID{"i-200"}}, Secrets: []statestore.Secret{{ID: "i-201", Value: []byte("another")}}})
		m.Apply(fleetOf(202, 250, record.Gone))
		loaded, err := openBolt(t, dir).Load(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if d := m.Differs(loaded); d != "" {
			t.Error(d)
		}
	})
}

// TestScrubIsRepeated: passwords that cannot be overwritten now are overwritten later.
func TestScrubIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir() + "/group"
		b := openBolt(t, dir)
		defer b.Close()
		for n := 0; n < 300; n += 20 {
			commit(t, b, fleetOf(n, n+20, record.Ready))
		}
		commit(t, b, fleetOf(0, 200, record.Gone))
		if err := os.Rename(dir+"/state.db", dir+"/moved"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(statestore.ScrubDelay)
		synctest.Wait()
		if len(found(t, dir, 200)) == 0 {
			t.Fatal("a file that is not in its place was changed")
		}
		if err := os.Rename(dir+"/moved", dir+"/state.db"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(statestore.ScrubDelay)
		synctest.Wait()
		if left := found(t, dir, 200); len(left) > 0 {
			t.Errorf("the passwords of %d instances are still in the file", len(left))
		}
	})
}

// TestScrubbedFileTakesCommits: random commits with scrubs in between leave what the commits say.
func TestScrubbedFileTakesCommits(t *testing.T) {
	dir := t.TempDir() + "/group"
	b := openBolt(t, dir)
	var m storetest.Model
	for n, c := range storetest.Sample(60, 77) {
		commit(t, b, c)
		m.Apply(c)
		if n%3 == 0 {
			if err := statestore.Scrub(b); err != nil {
				t.Fatal(err)
			}
		}
		if n%10 != 9 {
			continue
		}
		if n%20 == 9 {
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			b = openBolt(t, dir)
		}
		loaded, err := b.Load(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if d := m.Differs(loaded); d != "" {
			t.Fatalf("commit %d: %s", n, d)
		}
	}
}

const leakDir = "STATESTORE_LEAK_DIR"

// leakChild is the process that TestSecretsLeaveTheFileAfterACrash kills: each of its commits creates ten instances and deletes the ten before.
func leakChild() {
	dir := os.Getenv(leakDir)
	if dir == "" {
		return
	}
	from, _ := strconv.Atoi(os.Getenv(killFrom))
	store, err := statestore.OpenBolt(dir, statestore.BoltOptions{})
	for n := from; err == nil && n < killTotal; n += 10 {
		c, gone := fleetOf(n, n+10, record.Ready), fleetOf(max(n-10, 0), n, record.Gone)
		c.Changes.Put = append(c.Changes.Put, gone.Changes.Put...)
		if err = store.Commit(context.Background(), c); err == nil {
			fmt.Println("done", n)
		}
	}
	fmt.Println("error:", err)
	os.Exit(1)
}

// TestSecretsLeaveTheFileAfterACrash kills a process that deletes instances. When the state is opened again, the file holds the passwords of
// the instances that exist, and no others.
func TestSecretsLeaveTheFileAfterACrash(t *testing.T) {
	dir, next := t.TempDir()+"/group", 0
	rng := rand.New(rand.NewPCG(4, 2))
	for range 5 {
		last := crashAfter(t, dir, next, 3+rng.IntN(20))
		b := openBolt(t, dir)
		loaded, err := b.Load(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		in := found(t, dir, last+1000) // on a busy machine it commits more before the kill arrives
		if len(in) != 10 || len(loaded.Secrets) != 10 {
			t.Errorf("after commit %d the file holds the passwords of %v; %d instances exist", last, in, len(loaded.Secrets))
		}
		for _, n := range in {
			if _, live := loaded.Secrets[record.ID(fmt.Sprintf("i-%d", n))]; !live {
				t.Errorf("the password of the deleted instance %d is in the file", n)
			}
			next = n + 1
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// crashAfter kills the child after so many commits, and returns the last one that it acknowledged.
func crashAfter(t *testing.T, dir string, from, commits int) (last int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), leakDir+"="+dir, killFrom+"="+strconv.Itoa(from))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for n := 0; n < commits; n++ {
		if _, err := fmt.Fscanf(out, "done %d\n", &last); err != nil {
			t.Fatal(err)
		}
	}
	_ = cmd.Process.Kill()
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.Exited() {
		t.Fatalf("the child was not killed: %v", err)
	}
	return last
}
