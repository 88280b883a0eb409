package statestore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/statestore"
	"github.com/taskscaler/taskscaler/pkg/statestore/storetest"
)

const (
	killDir   = "STATESTORE_KILL_DIR"
	killFrom  = "STATESTORE_KILL_FROM"
	killTotal = 100_000 // commits; the child is killed long before
)

// numbered returns commit number n of a history. Each commit changes other records, and holds its number in three places.
func numbered(n int) statestore.Commit {
	rng := rand.New(rand.NewPCG(uint64(n), 0))
	c := statestore.Commit{Changes: &record.Changes{
		Meta:       &record.Meta{Group: "kill", LastOp: uint64(n)},
		PutIntents: []record.Intent{{Op: uint64(n), At: int64(n)}},
	}}
	if n > 3 {
		c.Changes.DropIntents = []uint64{uint64(n - 3)}
	}
	for _, k := range rng.Perm(300)[:1+rng.IntN(60)] {
		id := record.ID(fmt.Sprintf("i-%d", k))
		c.Changes.Put = append(c.Changes.Put, record.Instance{ID: id, Serial: uint64(n), State: record.State(1 + rng.IntN(8)), StateAt: int64(n)})
		c.Secrets = append(c.Secrets, statestore.Secret{ID: id, Value: []byte(strconv.Itoa(n))})
	}
	return c
}

// killChild is the process that TestKill kills: it commits in a loop, and reports each commit before and after.
func killChild() {
	dir := os.Getenv(killDir)
	if dir == "" {
		return
	}
	from, _ := strconv.Atoi(os.Getenv(killFrom))
	store, err := statestore.OpenBolt(dir, statestore.BoltOptions{})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	for n := from; n < killTotal; n++ {
		fmt.Println("begin", n)
		if err := store.Commit(context.Background(), numbered(n)); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println("done", n)
	}
	os.Exit(0)
}

// TestKill kills a process that commits with SIGKILL, again and again, between commits and within one. Every acknowledged commit must be in
// the file; of the commit in progress, all or nothing.
func TestKill(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir() + "/group"
	var m storetest.Model
	next, within := 1, 0
	rng := rand.New(rand.NewPCG(6, 7))
	for round := range 25 {
		begun, done := killAfter(t, exe, dir, next, 1+rng.IntN(30), round%2 == 1, time.Duration(rng.IntN(3000))*time.Microsecond)
		for ; next <= done; next++ {
			m.Apply(numbered(next))
		}
		store, err := statestore.OpenBolt(dir, statestore.BoltOptions{})
		if err != nil {
			t.Fatalf("round %d: after the kill: %v", round, err)
		}
		loaded, err := store.Load(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		difference := m.Differs(loaded)
		if difference != "" && begun > done { // the commit in progress
			m.Apply(numbered(next))
			next++
			difference = m.Differs(loaded)
		}
		if difference != "" {
			t.Fatalf("round %d: begun %d, acknowledged %d: %s", round, begun, done, difference)
		}
		if begun > done {
			within++
		}
	}
	t.Logf("%d commits, 25 kills, %d of them within a commit", next-1, within)
}

// killAfter runs the child until it has acknowledged n commits, and kills it then or during the next commit. It returns the numbers of the
// last commits that were begun and acknowledged.
func killAfter(t *testing.T, exe, dir string, from, n int, within bool, delay time.Duration) (begun, done int) {
	t.Helper()
	cmd := exec.Command(exe, "-test.run=^$")
	cmd.Env = append(os.Environ(), killDir+"="+dir, killFrom+"="+strconv.Itoa(from))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	begun, done = from-1, from-1
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line := lines.Text()
		switch {
		case scan(line, "begin %d", &begun):
			if within && begun >= from+n {
				time.Sleep(delay) // waits for nothing: each round kills at another point of the commit
				_ = cmd.Process.Kill()
			}
		case scan(line, "done %d", &done):
			if !within && done >= from+n-1 {
				_ = cmd.Process.Kill()
			}
		default:
			t.Fatalf("the child said %q", line)
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.Exited() {
		t.Fatalf("the child was not killed: %v", err)
	}
	return begun, done
}

func scan(line, format string, n *int) bool {
	var v int
	if got, err := fmt.Sscanf(line, format, &v); got != 1 || err != nil {
		return false
	}
	*n = v
	return true
}
