// Package goroutine starts one.
package goroutine

func f() {
	go f() // want "goroutine"
}
