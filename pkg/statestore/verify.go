package statestore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"io"
	"math/bits"
)

// This file checks bbolt's pages. bbolt follows page numbers and offsets in mapped memory without checking them: a bad one leads to a wrong
// value, a fault, or endless recursion, and Go cannot recover from the last. A file that passes here can be opened.
//
//	page    id u64 | flags u16 | count u16 | overflow u32 | elements, then their data
//	branch  pos u32 | ksize u32 | page u64                      pos counts from the element's start
//	leaf    flags u32 | pos u32 | ksize u32 | vsize u32         flag 1: the value is a bucket
//	bucket  root page u64 | sequence u64 | if root is 0: a leaf page
//	meta    magic u32 | version u32 | page size u32 | flags u32 | root bucket | free list page u64 | pages u64 | txid u64 | fnv64a u64
//
// Numbers have the machine's byte order.
const (
	flagBranch, flagLeaf, flagMeta, flagFreelist = 1, 2, 4, 16

	pageHeader  = 16
	elementSize = 16
	bucketSize  = 16
	metaSize    = 64

	boltMagic    = 0xED0CDAED
	boltVersion  = 2
	minPage      = 1 << 10
	maxPage      = 1 << 24
	maxTreeDepth = 64
)

var order = binary.NativeEndian

type verifier struct {
	file io.ReaderAt
	size uint64 // of the file
	page uint64 // size of a page
	meta metaPage
	used []uint64 // one bit per page: it is reachable from the root
}

type metaPage struct{ pageSize, root, freelist, pages, txid uint64 }

// verify checks everything in a bbolt file that bbolt follows when it opens, reads or writes it. It returns a damage, a *VersionError or an
// I/O error.
func verify(file io.ReaderAt, size int64) error {
	v := verifier{file: file, size: uint64(size)}
	if err := v.metas(); err != nil {
		return err
	}
	v.used = make([]uint64, v.meta.pages/64+1)
	if err := v.tree(v.meta.root, 0, bounds{}, true); err != nil {
		return err
	}
	return v.freelist()
}

// metas requires that both meta pages are valid and one transaction apart. bbolt works with one of them, and so loses the last commit if
// the newer one is damaged. A crash is no reason for a damaged one: its content lies within one sector, which is written as a whole.
func (v *verifier) metas() error {
	first, err := v.readMeta(0)
	if err != nil {
		return err
	}
	v.page = first.pageSize
	second, err := v.readMeta(1)
	if err != nil {
		return err
	}
	newer, older := first, second
	if second.txid > first.txid {
		newer, older = second, first
	}
	switch {
	case second.pageSize != first.pageSize:
		return damagef("its two meta pages disagree on the page size")
	case newer.txid-older.txid != 1:
		return damagef("its meta pages belong to transactions %d and %d: one between them is lost", older.txid, newer.txid)
	case newer.pages < 4 || newer.pages > v.size/v.page:
		return damagef("it should have %d pages of %d bytes, and has %d bytes: it is truncated", newer.pages, v.page, v.size)
	}
	v.meta = newer
	return nil
}

func (v *verifier) readMeta(n uint64) (m metaPage, err error) {
	if v.size < n*v.page+pageHeader+metaSize {
		return m, damagef("it has only %d bytes", v.size)
	}
	buf := make([]byte, pageHeader+metaSize)
	if err := v.read(buf, n*v.page); err != nil {
		return m, err
	}
	body := buf[pageHeader:]
	hash := fnv.New64a()
	_, _ = hash.Write(body[:56])
	magic := order.Uint32(body)
	switch {
	case magic == bits.ReverseBytes32(boltMagic):
		return m, damagef("it was written on a machine with the other byte order")
	case magic != boltMagic:
		return m, damagef("page %d is not a bbolt meta page", n)
	case order.Uint64(body[56:]) != hash.Sum64():
		return m, damagef("the checksum of meta page %d is wrong", n)
	case order.Uint32(body[4:]) != boltVersion:
		return m, &VersionError{What: "bbolt's file format", Found: uint64(order.Uint32(body[4:])), Supported: boltVersion}
	}
	m = metaPage{
		pageSize: uint64(order.Uint32(body[8:])), root: order.Uint64(body[16:]), freelist: order.Uint64(body[32:]),
		pages: order.Uint64(body[40:]), txid: order.Uint64(body[48:]),
	}
	switch {
	case order.Uint64(buf) != n || order.Uint16(buf[8:]) != flagMeta || m.txid%2 != n:
		return m, damagef("meta page %d is in the place of another page", n)
	case m.pageSize < minPage || m.pageSize > maxPage || m.pageSize&(m.pageSize-1) != 0:
		return m, damagef("its page size is %d", m.pageSize)
	}
	return m, nil
}

func (v *verifier) read(buf []byte, offset uint64) error {
	_, err := v.file.ReadAt(buf, int64(offset))
	if errors.Is(err, io.EOF) {
		return damagef("it ends too early")
	}
	return err
}

// load reads a page with its overflow pages, and marks them as used.
func (v *verifier) load(id uint64) (buf []byte, err error) {
	head := make([]byte, pageHeader)
	if id < 2 || id >= v.meta.pages {
		return nil, damagef("it refers to page %d of %d", id, v.meta.pages)
	}
	if err := v.read(head, id*v.page); err != nil {
		return nil, err
	}
	count := uint64(order.Uint32(head[12:])) + 1
	switch {
	case order.Uint64(head) != id:
		return nil, damagef("page %d has the number %d", id, order.Uint64(head))
	case count > v.meta.pages-id:
		return nil, damagef("page %d reaches beyond the end", id)
	}
	for n := id; n < id+count; n++ {
		if v.isUsed(n) {
			return nil, damagef("page %d is used twice", n)
		}
		v.used[n/64] |= 1 << (n % 64)
	}
	buf = make([]byte, count*v.page)
	return buf, v.read(buf, id*v.page)
}

func (v *verifier) isUsed(id uint64) bool { return v.used[id/64]&(1<<(id%64)) != 0 }

// bounds are the bounds of the keys in a part of a tree: at least low, and below high if there is one.
type bounds struct{ low, high []byte }

func (b bounds) check(id uint64, key []byte, previous []byte) error {
	switch {
	case len(key) == 0:
		return damagef("page %d holds an empty key", id)
	case previous != nil && bytes.Compare(previous, key) >= 0, bytes.Compare(b.low, key) > 0, b.high != nil && bytes.Compare(key, b.high) >= 0:
		return damagef("the keys of page %d are out of order", id)
	}
	return nil
}

// tree checks the pages below id. The root bucket holds only buckets; the other buckets hold none.
func (v *verifier) tree(id uint64, depth int, within bounds, root bool) error {
	if depth > maxTreeDepth {
		return damagef("page %d is %d levels deep", id, depth)
	}
	buf, err := v.load(id)
	if err != nil {
		return err
	}
	switch order.Uint16(buf[8:]) {
	case flagLeaf:
		return v.leaf(id, buf, within, root)
	case flagBranch:
		return v.branch(id, buf, depth, within, root)
	}
	return damagef("page %d has type %#x", id, order.Uint16(buf[8:]))
}

func (v *verifier) branch(id uint64, buf []byte, depth int, within bounds, root bool) error {
	count := int(order.Uint16(buf[10:]))
	if count == 0 {
		return damagef("branch page %d has no elements", id)
	}
	keys, children := make([][]byte, count+1), make([]uint64, count)
	for i := range count {
		e, err := element(id, buf, i, count)
		if err != nil {
			return err
		}
		pos, ksize := uint64(order.Uint32(e)), uint64(order.Uint32(e[4:]))
		if keys[i], err = part(id, e, pos, ksize); err != nil {
			return err
		}
		var previous []byte
		if i > 0 {
			previous = keys[i-1]
		}
		if err := within.check(id, keys[i], previous); err != nil {
			return err
		}
		children[i] = order.Uint64(e[8:])
	}
	keys[count] = within.high
	for i, child := range children {
		if err := v.tree(child, depth+1, bounds{keys[i], keys[i+1]}, root); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) leaf(id uint64, buf []byte, within bounds, root bool) error {
	count := int(order.Uint16(buf[10:]))
	var previous []byte
	for i := range count {
		e, err := element(id, buf, i, count)
		if err != nil {
			return err
		}
		flags, pos := order.Uint32(e), uint64(order.Uint32(e[4:]))
		ksize, vsize := uint64(order.Uint32(e[8:])), uint64(order.Uint32(e[12:]))
		data, err := part(id, e, pos, ksize+vsize)
		if err != nil {
			return err
		}
		key, value := data[:ksize], data[ksize:]
		if err := within.check(id, key, previous); err != nil {
			return err
		}
		previous = key
		switch {
		case root && flags == 1:
			if err := v.bucket(id, value); err != nil {
				return err
			}
		case root || flags != 0:
			return damagef("page %d holds a record of type %d", id, flags)
		}
	}
	return nil
}

// bucket checks the value of a bucket: the number of its root page, or the page itself if it is small.
func (v *verifier) bucket(id uint64, value []byte) error {
	if len(value) < bucketSize {
		return damagef("a bucket on page %d is truncated", id)
	}
	if root := order.Uint64(value); root != 0 {
		return v.tree(root, 0, bounds{}, false)
	}
	inline := value[bucketSize:]
	if len(inline) < pageHeader || order.Uint16(inline[8:]) != flagLeaf {
		return damagef("a bucket on page %d does not hold a page", id)
	}
	return v.leaf(id, inline, bounds{}, false)
}

// element returns the bytes from the i-th of count elements to the end of the page.
func element(id uint64, buf []byte, i, count int) ([]byte, error) {
	if pageHeader+count*elementSize > len(buf) {
		return nil, damagef("page %d has %d elements", id, count)
	}
	return buf[pageHeader+i*elementSize:], nil
}

// part returns the data of an element, which lie behind it on the page.
func part(id uint64, e []byte, pos, size uint64) ([]byte, error) {
	if pos < elementSize || pos+size > uint64(len(e)) {
		return nil, damagef("an element of page %d lies outside of it", id)
	}
	return e[pos : pos+size : pos+size], nil
}

// freelist checks that no page is both free and used, because bbolt could overwrite it. A page that is neither only wastes space.
func (v *verifier) freelist() error {
	_, err := v.freePages()
	return err
}

// freePages returns the free pages in ascending order. None of them is marked as used.
func (v *verifier) freePages() ([]uint64, error) {
	id := v.meta.freelist
	buf, err := v.load(id)
	if err != nil {
		return nil, err
	}
	if order.Uint16(buf[8:]) != flagFreelist {
		return nil, damagef("page %d is not a list of free pages", id)
	}
	count, list := uint64(order.Uint16(buf[10:])), buf[pageHeader:]
	if count == 0xFFFF {
		count, list = order.Uint64(list), list[8:]
	}
	if count > uint64(len(list))/8 {
		return nil, damagef("the list of free pages on page %d is truncated", id)
	}
	pages, previous := make([]uint64, count), uint64(1)
	for i := range pages {
		free := order.Uint64(list[8*i:])
		switch {
		case free <= previous || free >= v.meta.pages:
			return nil, damagef("the list of free pages on page %d is out of order", id)
		case v.isUsed(free):
			return nil, damagef("page %d is both free and used", free)
		}
		pages[i], previous = free, free
	}
	return pages, nil
}
