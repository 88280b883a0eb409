package statestore

import "google.golang.org/protobuf/encoding/protowire"

// guard is a check of the whole state that every transaction rewrites: the number of records of each kind, and the sum (modulo 2^64) of
// their hashes. Its payload has a fixed size, so that the bytes of a commit do not depend on the size of the fleet.
type guard struct {
	seq   uint64 // transactions so far
	kinds [kindSecret + 1]tally
}

type tally struct{ count, sum uint64 }

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
	return b
}

func (g *guard) decode(payload []byte) error {
	f := fields{rest: payload}
	for f.next() {
		i := int(f.num-2) / 2
		switch {
		case f.num == 1:
			g.seq = f.fixed()
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
