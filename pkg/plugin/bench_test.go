package plugin_test

import (
	"testing"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// BenchmarkUpdate10000 is a full list of 10,000 instances from a real plugin process.
func BenchmarkUpdate10000(b *testing.B) {
	p := start(b, quick(`{"list_size": 10000}`))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		if err := p.Update(b.Context(), func(string, provider.State) { n++ }); err != nil || n != 10000 {
			b.Fatalf("%d instances, %v", n, err)
		}
	}
}

// BenchmarkCall is the smallest call: what a round trip costs.
func BenchmarkCall(b *testing.B) {
	p := start(b, quick(`{}`))
	for b.Loop() {
		if _, err := p.Decrease(b.Context(), nil); err != nil {
			b.Fatal(err)
		}
	}
}
