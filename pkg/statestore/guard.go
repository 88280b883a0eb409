package statestore

import "google.golang.org/protobuf/encoding/protowire"

// guard is a check of the whole state that every transaction rewrites: the number of records of each kind, and the sum (modulo 2^64) of
// their hashes. Its payload has a fixed size, so that the bytes of a commit do not depend on the size of the fleet.
type guard struct {
	seq   uint64 // transactions so far
	tx    uint64 // bbolt's number of the transaction that wrote the guard; 0: a release before this field wrote it
	kinds [kindSecret + 1]tally
}

type tally struct{ count, sum uint64 }

// fieldTx is the number of the field tx. The fields of the kinds come before it.
const fieldTx protowire.Number = 64

var guarded = [...]kind{kindGroup, kindInstance, kindIntent, kindSecret}

func (g *guard) add(k kind, hash uint64) {
	g.kinds[k].count++
	g.kinds[k].sum += hash
}

func (g *guard) remove(k kind, hash uint64) {
	g.kinds[k].count--
	g.kinds[k].sum -= hash
}

// compare returns how the records that were found differ from those that were committed, or nil.
func (g *guard) compare(found *guard) error {
	for _, k := range guarded {
		want, have := g.kinds[k], found.kinds[k]
		switch {
		case have.count != want.count:
			return damagef("%d %s records were committed, %d were found", want.count, kindNames[k], have.count)
		case have.sum != want.sum:
			return damagef("the %s records differ from those that were committed last", kindNames[k])
		}
	}
	return nil
}

var kindNames = map[kind]string{kindGroup: "group", kindInstance: "instance", kindIntent: "intent", kindSecret: "secret"}

func (g *guard) append(b []byte) []byte {
	b = appendFixed(b, 1, g.seq)
	for i, k := range guarded {
		b = appendFixed(b, fieldOf(i), g.kinds[k].count)
		b = appendFixed(b, fieldOf(i)+1, g.kinds[k].sum)
	}
	return appendFixed(b, fieldTx, g.tx)
}

// checkTx returns a damage if another transaction than tx wrote the guard, or nil. The number of the last transaction is on bbolt's meta page.
// Without this check, a root page from the first commits could bring back the state of that time: a small state lies on it as a whole.
func (g *guard) checkTx(tx int) error {
	if g.tx != 0 && g.tx != uint64(tx) {
		return damagef("it holds the state of transaction %d, and the last one was %d", g.tx, tx)
	}
	return nil
}

func (g *guard) decode(payload []byte) error {
	f := fields{rest: payload}
	for f.next() {
		i := int(f.num-2) / 2
		switch {
		case f.num == 1:
			g.seq = f.fixed()
		case f.num == fieldTx:
			g.tx = f.fixed()
		case i >= len(guarded):
			f.skip()
		case f.num == fieldOf(i):
			g.kinds[guarded[i]].count = f.fixed()
		default:
			g.kinds[guarded[i]].sum = f.fixed()
		}
	}
	return f.err
}

// fieldOf returns the field number of the count of the i-th guarded kind. The sum has the next number.
func fieldOf(i int) protowire.Number { return protowire.Number(2 + 2*i) }
