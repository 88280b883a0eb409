package statestore

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"
)

// scrubDelay is how long bytes of removed or replaced connect info may stay in the file. bbolt never overwrites a page: it writes a copy elsewhere
// and calls the old one free. So the credentials of an instance that was deleted stay in the file, and in every copy of a page that once
// held them, until a later commit happens to use those pages.
//
// The store therefore overwrites the free pages with zeros: within this time after a commit that removed or replaced connect info, when it is
// closed, and when it is opened, because a crash may have come in between.
const scrubDelay = 10 * time.Second

// soil records that the file holds bytes that must go, and sets the timer of the next scrub. mu must be held.
func (b *Bolt) soil() {
	if b.soiled {
		return
	}
	b.soiled = true
	b.scrubber = time.AfterFunc(scrubDelay, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.db != nil && b.dead == nil && b.soiled {
			b.soiled = false
			if b.scrub() != nil {
				b.soil() // the disk fails: try again
			}
		}
	})
}

// scrub overwrites what no page of the last commit uses. mu must be held, so that no commit is in progress. After a failed commit it does
// nothing, because it is unknown then which pages are in use.
func (b *Bolt) scrub() error {
	if b.again || b.inPlace() != nil {
		return errors.New("the state of the file is unknown")
	}
	free, err := freeParts(b.file)
	if err != nil {
		return err
	}
	e := eraser{file: b.file}
	for _, part := range free {
		if err := e.zero(part); err != nil {
			return fmt.Errorf("overwrite free pages: %w", err)
		}
	}
	if e.wrote {
		return b.file.Sync()
	}
	return nil
}

// extent is a part of a file, in bytes.
type extent struct{ from, to int64 }

// freeParts returns the free pages of a bbolt file, and its space behind the last page. Nothing reads them before they are written again. The
// list of them is that of the newest meta page, which is durable; the older meta page is not used any more.
func freeParts(file *os.File) ([]extent, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	v := verifier{file: file, size: uint64(info.Size())}
	if err := v.metas(); err != nil {
		return nil, err
	}
	v.used = make([]uint64, v.meta.pages/64+1)
	ids, err := v.freePages()
	if err != nil {
		return nil, err
	}
	var parts []extent
	add := func(from, to uint64) {
		if last := len(parts) - 1; last >= 0 && parts[last].to == int64(from) {
			parts[last].to = int64(to)
			return
		}
		parts = append(parts, extent{int64(from), int64(to)})
	}
	for _, id := range ids {
		add(id*v.page, (id+1)*v.page)
	}
	if end := v.meta.pages * v.page; end < v.size {
		add(end, v.size)
	}
	return parts, nil
}

// zeros is what free pages are overwritten with. It is never written to.
var zeros [64 << 10]byte

// eraser overwrites parts of a file, where they are not zero already.
type eraser struct {
	file  *os.File
	buf   [len(zeros)]byte
	wrote bool
}

func (e *eraser) zero(part extent) error {
	for at := part.from; at < part.to; at += int64(len(e.buf)) {
		chunk := e.buf[:min(int64(len(e.buf)), part.to-at)]
		if _, err := e.file.ReadAt(chunk, at); err != nil {
			return err
		}
		if bytes.Equal(chunk, zeros[:len(chunk)]) {
			continue
		}
		if err := e.begin(); err != nil {
			return err
		}
		if _, err := e.file.WriteAt(zeros[:len(chunk)], at); err != nil {
			return err
		}
	}
	return nil
}

// begin makes the meta page durable before the first write. After a crash it may be in the kernel's memory only. If the power then failed, the
// disk could have the older meta page, which uses some of the pages that are free now.
func (e *eraser) begin() error {
	if e.wrote {
		return nil
	}
	e.wrote = true
	return e.file.Sync()
}
