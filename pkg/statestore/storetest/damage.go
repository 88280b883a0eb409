package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/statestore"
)

// everyByte is an environment variable. If it is set, a bit of every byte is flipped, not only of a fixed selection of bytes.
const everyByte = "STORETEST_EVERY_BYTE"

// damage holds the file of a store after each of a number of commits. Each case is the last of these files, with some damage.
type damage struct {
	subject Subject
	page    int
	images  [][]byte // the file after each commit
	models  []Model  // the state after each commit
	refused int
	intact  int
}

// testDamage damages files. In each case the store must either report the damage and not modify the file, or hold what was committed last
// and work from there. A fault or endless recursion ends the test process.
func testDamage(t *testing.T, factory func(testing.TB) Subject) {
	d := &damage{subject: factory(t), page: os.Getpagesize()}
	d.record(t, append([]statestore.Commit{Bulk(400)}, Sample(30, 42)...))
	last := d.images[len(d.images)-1]
	run := func(name string, fn func(t *testing.T, last []byte)) {
		t.Run(name, func(t *testing.T) {
			d.refused, d.intact = 0, 0
			fn(t, last)
			t.Logf("%d refused, %d intact", d.refused, d.intact)
			if d.refused+d.intact == 0 {
				t.Error("no case was run")
			}
		})
	}
	run("cut off", d.cutOff)
	run("longer", d.longer)
	run("garbage pages", d.garbagePages)
	run("older pages", d.olderPages)
	run("swapped pages", d.swappedPages)
	run("flipped bits", d.flippedBits)
	run("many faults", d.manyFaults)
	run("not ours", d.notOurs)
}

// record keeps the file after every commit.
func (d *damage) record(t *testing.T, commits []statestore.Commit) {
	t.Helper()
	var m Model
	store := open(t, d.subject)
	for _, c := range commits {
		m.commit(t, store, c)
		image, err := os.ReadFile(d.subject.File)
		if err != nil {
			t.Fatal(err)
		}
		d.images, d.models = append(d.images, image), append(d.models, m.Clone())
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

// try opens a damaged file. The store may hold the last state, or one of older.
func (d *damage) try(t *testing.T, what string, image []byte, older ...Model) {
	t.Helper()
	d.clear(t)
	if err := os.WriteFile(d.subject.File, image, 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := d.subject.Open()
	var loaded statestore.Snapshot
	if err == nil {
		loaded, err = store.Load(context.Background())
		defer store.Close()
	}
	if err != nil {
		d.refused++
		d.checkRefusal(t, what, err, image)
		return
	}
	d.intact++
	for _, m := range append([]Model{d.models[len(d.models)-1]}, older...) {
		if m.Differs(loaded) == "" {
			d.goOn(t, what, store, m)
			return
		}
	}
	t.Fatalf("%s: wrong data were loaded: %s", what, d.models[len(d.models)-1].Differs(loaded))
}

func (d *damage) checkRefusal(t *testing.T, what string, err error, image []byte) {
	t.Helper()
	var corrupt *statestore.CorruptError
	if !errors.As(err, &corrupt) {
		t.Fatalf("%s: the error is not a *CorruptError: %v", what, err)
	}
	left, err := os.ReadFile(d.subject.File)
	if err != nil || !bytes.Equal(left, image) {
		t.Fatalf("%s: the damaged file was changed (%v)", what, err)
	}
	aside, err := os.ReadFile(corrupt.Copy)
	if err != nil || !bytes.Equal(aside, image) {
		t.Fatalf("%s: the copy %q is not the damaged file (%v): %v", what, corrupt.Copy, err, corrupt)
	}
}

// goOn commits to a store that accepted its file, and loads the result: damage must not appear only then.
func (d *damage) goOn(t *testing.T, what string, store statestore.Store, m Model) {
	t.Helper()
	if d.intact%16 != 1 { // it costs two syncs
		return
	}
	m = m.Clone()
	for _, c := range Sample(2, uint64(d.intact)) {
		m.commit(t, store, c)
	}
	_ = store.Close()
	again, err := d.subject.Open()
	if err != nil {
		t.Fatalf("%s: the file was accepted, but two commits later: %v", what, err)
	}
	defer again.Close()
	m.check(t, again)
}

func (d *damage) clear(t *testing.T) {
	t.Helper()
	left, err := os.ReadDir(filepath.Dir(d.subject.File))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		if strings.HasPrefix(e.Name(), filepath.Base(d.subject.File)) {
			_ = os.Remove(filepath.Join(filepath.Dir(d.subject.File), e.Name()))
		}
	}
}

// pages returns the numbers of the pages that are not empty.
func (d *damage) pages(image []byte) (used []int) {
	zero := make([]byte, d.page)
	for p := range len(image) / d.page {
		if !bytes.Equal(d.at(image, p), zero) {
			used = append(used, p)
		}
	}
	return used
}

func (d *damage) at(image []byte, page int) []byte { return image[page*d.page : (page+1)*d.page] }

func (d *damage) with(image []byte, page int, content []byte) []byte {
	damaged := slices.Clone(image)
	copy(d.at(damaged, page), content)
	return damaged
}

func (d *damage) cutOff(t *testing.T, last []byte) {
	end := (d.pages(last)[len(d.pages(last))-1] + 3) * d.page
	for size := 0; size < end; size += d.page / 4 {
		for _, n := range []int{size - 1, size, size + 1, size + 100} {
			if n >= 0 && n < len(last) {
				d.try(t, fmt.Sprintf("cut off after %d of %d bytes", n, len(last)), last[:n])
			}
		}
	}
	if d.refused == 0 {
		t.Error("no damage was found")
	}
}

func (d *damage) longer(t *testing.T, last []byte) {
	for _, n := range []int{1, 100, d.page - 1, d.page, 300_000} {
		d.try(t, fmt.Sprintf("%d bytes more", n), append(slices.Clone(last), noise(uint64(n), n)...))
	}
	if d.refused != 0 {
		t.Error("a file with extra bytes behind its end was refused")
	}
}

func (d *damage) garbagePages(t *testing.T, last []byte) {
	ones := bytes.Repeat([]byte{0xff}, d.page)
	for _, p := range d.pages(last) {
		half := append(slices.Clone(d.at(last, p)[:d.page/2]), noise(uint64(p), d.page/2)...)
		head := append(slices.Clone(d.at(last, p)[:16]), noise(uint64(p), d.page-16)...)
		tail := append(noise(uint64(p), 16), d.at(last, p)[16:]...)
		for i, content := range [][]byte{make([]byte, d.page), ones, noise(uint64(p), d.page), noise(uint64(p)+1e6, d.page), half, head, tail} {
			d.try(t, fmt.Sprintf("page %d replaced by garbage of sort %d", p, i), d.with(last, p, content))
		}
	}
	if d.refused == 0 {
		t.Error("no damage was found")
	}
}

// olderPages restores older versions of pages: they are valid, but out of date.
func (d *damage) olderPages(t *testing.T, last []byte) {
	for _, p := range d.pages(last) {
		for i := len(d.images) - 2; i >= 0; i-- {
			if (p+1)*d.page > len(d.images[i]) || bytes.Equal(d.at(d.images[i], p), d.at(d.images[min(i+1, len(d.images)-1)], p)) {
				continue
			}
			var older []Model
			if p < 2 && i >= len(d.images)-3 { // a meta page: the file may then hold the state before, which was once committed
				older = d.models[len(d.models)-2:]
			}
			d.try(t, fmt.Sprintf("page %d as it was after commit %d", p, i), d.with(last, p, d.at(d.images[i], p)), older...)
		}
	}
	if d.refused == 0 {
		t.Error("no damage was found")
	}
}

func (d *damage) swappedPages(t *testing.T, last []byte) {
	used := d.pages(last)
	rng := rand.New(rand.NewPCG(1, 2))
	for i, p := range used {
		for _, q := range []int{used[(i+1)%len(used)], used[rng.IntN(len(used))], used[rng.IntN(len(used))]} {
			swapped := d.with(last, p, d.at(last, q))
			d.try(t, fmt.Sprintf("page %d copied over page %d", q, p), swapped)
			d.try(t, fmt.Sprintf("pages %d and %d swapped", p, q), d.with(swapped, q, d.at(last, p)))
			renamed := slices.Clone(d.at(last, q)) // with the right page number
			copy(renamed[:8], d.at(last, p)[:8])
			d.try(t, fmt.Sprintf("page %d copied over page %d and renumbered", q, p), d.with(last, p, renamed))
		}
	}
	if d.refused == 0 {
		t.Error("no damage was found")
	}
}

func (d *damage) flippedBits(t *testing.T, last []byte) {
	stride := 401 // a prime, so that all parts of the format are met
	if os.Getenv(everyByte) != "" {
		stride = 1
	}
	used := make(map[int]bool)
	for _, p := range d.pages(last) {
		used[p] = true
	}
	for at := range last {
		// More of the headers are tested: most of the meaning is there.
		if in := at % d.page; !used[at/d.page] || in >= 120 && at%stride != 0 || in < 120 && in >= 16 && at%11 != 0 {
			continue
		}
		flipped := slices.Clone(last)
		flipped[at] ^= 1 << (at * 5 % 8)
		d.try(t, fmt.Sprintf("bit %d of byte %d flipped", at*5%8, at), flipped)
	}
	if d.refused == 0 {
		t.Error("no damage was found")
	}
}

func (d *damage) manyFaults(t *testing.T, last []byte) {
	rng := rand.New(rand.NewPCG(3, 4))
	used := d.pages(last)
	for n := range 150 {
		damaged := slices.Clone(last)
		for range 1 + rng.IntN(20) {
			p := d.at(damaged, used[rng.IntN(len(used))])
			at := rng.IntN(len(p))
			copy(p[at:], noise(rng.Uint64(), rng.IntN(64)))
		}
		d.try(t, fmt.Sprintf("random damage %d", n), damaged)
	}
}

func (d *damage) notOurs(t *testing.T, last []byte) {
	for what, image := range map[string][]byte{
		"nothing": {}, "a byte": {0}, "a page of zeros": make([]byte, d.page), "many zeros": make([]byte, 1<<20),
		"text": []byte(strings.Repeat("concurrent = 4\n", 1000)), "noise": noise(5, 100_000), "itself, backwards": backwards(last),
	} {
		d.try(t, what, image)
	}
	if d.intact != 0 {
		t.Errorf("%d files were accepted as a state", d.intact)
	}
}

func noise(seed uint64, n int) []byte {
	rng := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(seed >> 24)})
	b := make([]byte, n)
	_, _ = rng.Read(b)
	return b
}

func backwards(b []byte) []byte {
	b = slices.Clone(b)
	slices.Reverse(b)
	return b
}
