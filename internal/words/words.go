// Package words writes counts and durations for people.
package words

import (
	"strconv"
	"strings"
	"time"
)

// Count returns n with its noun: "1 instance", "3 instances". The plural is the noun with an s.
func Count(n int, noun string) string { return Plural(n, noun, noun+"s") }

// Plural is [Count] for a noun with a plural of its own: "1 life", "2 lives".
func Plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// Ordinal returns the place n: "1st", "22nd", "113th".
func Ordinal(n int) string {
	suffix := "th"
	if n%100 < 11 || n%100 > 13 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return strconv.Itoa(n) + suffix
}

// Span returns a measured duration, rounded: to a second from a minute on, to 10 ms from a second on, to a millisecond below.
func Span(d time.Duration) string {
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}

// Setting returns a duration as people write it into a configuration, exact and without zeros at its end: "15m", not "15m0s".
func Setting(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// Thousands puts a comma between the thousands of a decimal number: "-1,234.5" for "-1234.5".
func Thousands(number string) string {
	sign, whole, rest := "", number, ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	if dot := strings.IndexByte(whole, '.'); dot >= 0 {
		whole, rest = whole[:dot], whole[dot:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	return sign + whole + rest
}
