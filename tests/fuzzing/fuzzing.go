// Package fuzzing bounds what an input of a fuzz target may cost: whoever reads what somebody else wrote takes memory and time
// in proportion to its length. A target that only must not panic would pass with any quadratic reader.
package fuzzing

import (
	"reflect"
	"runtime/metrics"
	"testing"
	"time"
)

// What an input may cost. Both are generous: a machine may be busy, and memory is counted by whole blocks.
const (
	Bytes        = 64 << 20         // that are allocated for an empty input
	BytesPerByte = 512              // and for each byte of it besides
	Time         = 20 * time.Second // that an empty input takes
	TimePerByte  = 5 * time.Microsecond
)

// Within is f.Fuzz(target), in which an input fails that costs more than its length allows.
func Within(f *testing.F, target any) {
	f.Helper()
	f.Fuzz(bounded(target))
}

// bounded is target with a look at what each call costs.
func bounded(target any) any {
	fn := reflect.ValueOf(target)
	return reflect.MakeFunc(fn.Type(), func(args []reflect.Value) []reflect.Value {
		t := args[0].Interface().(*testing.T) //nolint:forcetypeassert // testing refuses any other target
		bytes, took := Cost(func() { fn.Call(args) })
		Check(t, sizeOf(args[1:]), bytes, took)
		return nil
	}).Interface()
}

// Cost is how many bytes a call allocates, and how long it takes.
func Cost(call func()) (bytes uint64, took time.Duration) {
	before, begun := allocated(), time.Now()
	call()
	return allocated() - before, time.Since(begun)
}

// Reporter is the part of testing.T that Check needs.
type Reporter interface {
	Helper()
	Errorf(format string, args ...any)
}

// Check judges what an input of that size has cost.
func Check(t Reporter, size int, bytes uint64, took time.Duration) {
	t.Helper()
	if most := uint64(Bytes + BytesPerByte*size); bytes > most {
		t.Errorf("an input of %d bytes costs %d bytes of memory, more than %d", size, bytes, most)
	}
	if most := Time + time.Duration(size)*TimePerByte; took > most {
		t.Errorf("an input of %d bytes takes %s, more than %s", size, took, most)
	}
}

// sizeOf is how long an input is.
func sizeOf(args []reflect.Value) int {
	n := 0
	for _, a := range args {
		switch a.Kind() {
		case reflect.String, reflect.Slice:
			n += a.Len()
		default:
			n += int(a.Type().Size())
		}
	}
	return n
}

// allocated is how many bytes this process has taken so far, those that are free again included.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
