package failure_test

import (
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/pkg/failure"
)

// A failure is a value: its kind decides what happens next, the message is for people.
func Example() {
	f := failure.Failure{Kind: failure.Throttled, RetryAfter: 30 * time.Second, Message: "too many calls"}
	fmt.Println(f.Failed(), f.Kind, f.RetryAfter)
	fmt.Println(failure.Parse("quota") == failure.Quota, failure.Parse("a kind of a later release"))
	// Output:
	// true throttled 30s
	// true transient
}
