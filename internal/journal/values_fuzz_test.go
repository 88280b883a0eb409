package journal

import (
	"math"
	"reflect"
	"testing"

	"github.com/taskscaler/taskscaler/internal/scaler"
)

// FuzzSnapshotValues: as FuzzSnapshot, for real snapshots in which a few values were replaced by wrong ones. Each edit has three bytes: two choose a value
// and one says what to do with it. What Resume accepts must work.
func FuzzSnapshotValues(f *testing.F) {
	cores := realCores(f)
	for n := range len(cores) {
		for op := range byte(edits) {
			f.Add(byte(n), []byte{op * 7, 0, op, op * 31, op, op + 1})
		}
	}
	f.Fuzz(func(t *testing.T, which byte, changes []byte) {
		fresh := cores[int(which)%len(cores)].Snapshot()
		s := &fresh
		for n := 0; n+3 <= len(changes) && n < 3*8; n += 3 {
			var all []reflect.Value
			collect(reflect.ValueOf(s).Elem(), &all)
			edit(all[(int(changes[n])|int(changes[n+1])<<8)%len(all)], all, changes[n+2])
		}
		c, err := scaler.Resume(s)
		if err == nil {
			useCore(t, c, s.Now)
		}
	})
}

// collect appends every value below v that can be set: numbers, texts, flags and lists.
func collect(v reflect.Value, all *[]reflect.Value) {
	if !v.CanSet() {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for n := range v.NumField() {
			collect(v.Field(n), all)
		}
	case reflect.Slice:
		*all = append(*all, v)
		for n := range v.Len() {
			collect(v.Index(n), all)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			collect(v.Elem(), all)
		}
	case reflect.Bool, reflect.String, reflect.Float64, reflect.Int, reflect.Int64, reflect.Uint8, reflect.Uint32, reflect.Uint64:
		*all = append(*all, v)
	}
}

const edits = 16

// edit changes v. op 8 and above, and values to which the lower ones do not apply: copies another value of the same type.
func edit(v reflect.Value, all []reflect.Value, op byte) {
	switch op %= edits; {
	case op == 0:
		v.SetZero()
		return
	case v.Kind() == reflect.Bool:
		v.SetBool(!v.Bool())
		return
	case v.Kind() == reflect.Slice && op < 8:
		editList(v, op)
		return
	case v.CanInt() && op < 8:
		v.SetInt([]int64{0, 1, -1, math.MaxInt64, math.MinInt64, v.Int() + 1, v.Int() - 1, 1 << 40}[op])
		return
	case v.CanUint() && op < 8:
		v.SetUint([]uint64{0, 1, 255, math.MaxUint64, 1 << 63, v.Uint() + 1, v.Uint() - 1, 7}[op])
		return
	case v.CanFloat() && op < 8:
		v.SetFloat([]float64{0, 1, -1, math.Inf(1), math.NaN(), 1e300, 1e-300, math.Inf(-1)}[op])
		return
	}
	for n := range all {
		if from := all[(n+int(op)*13)%len(all)]; from.Type() == v.Type() {
			v.Set(from)
			return
		}
	}
}

func editList(v reflect.Value, op byte) {
	n := v.Len()
	switch {
	case n == 0:
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
	case op < 3:
		v.Set(v.Slice(0, n-1))
	case op < 5:
		v.Set(reflect.Append(v, v.Index(n-1)))
	default:
		reflect.Swapper(v.Interface())(0, n-1)
	}
}
