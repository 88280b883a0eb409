package config

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/nearest"
	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/internal/words"
)

// reader reads one document and collects its problems.
type reader struct {
	path     string // of the file, as given
	absolute string
	dir      string // its absolute folder
	fragment bool
	report   Report
	asked    map[string]bool // every key that was read; the tests compare it with Keys
}

func (r *reader) add(severity Severity, code string, at *node, key, message, remedy string) {
	p := Problem{Severity: severity, Code: code, Path: r.path, Key: key, Message: message, Remedy: remedy}
	if at != nil {
		p.Line, p.Column = at.line, at.col
	}
	r.report.Problems = append(r.report.Problems, p)
}

// section is one table of the document. Its node is nil when the file does not have the table; every key is absent then.
type section struct {
	*reader
	n    *node
	path string
}

// section wraps n. It does not check the keys.
func (r *reader) section(n *node, path string) section {
	if n != nil && n.kind != kindTable {
		n = nil
	}
	return section{reader: r, n: n, path: path}
}

// get returns the node under key, or nil. It panics on a key that is not in the schema: that is a bug of this package.
func (s section) get(key string) *node {
	if !slices.Contains(schema[s.path], key) {
		panic("config: no such key in the schema: " + s.key(key))
	}
	s.asked[s.key(key)] = true
	return s.n.child(key)
}

// key returns the dotted path of name. A name from the file must go through bare first.
func (s section) key(name string) string {
	switch {
	case s.path == "":
		return name
	case name == "":
		return s.path
	}
	return s.path + "." + name
}

var bareKey = regexp.MustCompile(`^[\w-]+$`)

// bare quotes a key that TOML requires in quotes. Unquoted, its characters could confuse a reader or a terminal.
func bare(name string) string {
	if bareKey.MatchString(name) {
		return name
	}
	return strconv.Quote(name)
}

func (s section) fault(code string, at *node, name, message, remedy string) {
	s.add(Fault, code, at, s.key(name), message, remedy)
}

func (s section) warn(code string, at *node, name, message, remedy string) {
	s.add(Warning, code, at, s.key(name), message, remedy)
}

// has reports whether the file sets the key.
func (s section) has(key string) bool { return s.get(key) != nil }

// known reports a fault for every key of the table that is not in the schema.
func (s section) known() {
	if s.n == nil {
		return
	}
	for _, name := range s.n.order {
		if slices.Contains(schema[s.path], name) {
			continue
		}
		s.fault(CodeUnknownKey, s.n.children[name], bare(name), fmt.Sprintf("unknown key %q", name), s.place(name))
	}
}

// manual documents every key.
const manual = "docs/configuration.md"

// place returns the remedy for an unknown key: the section that has a key of this name, or the key that was probably meant, in this section or
// in another one.
func (s section) place(name string) string {
	if at := homes[name]; len(at) > 0 {
		return "move it to " + header(at[0])
	}
	if nearest.Guess(name, schema[s.path]) == "" {
		if near := nearest.Guess(name, slices.Sorted(maps.Keys(homes))); near != "" {
			return nearest.DidYouMean(near) + " It belongs in " + header(homes[near][0])
		}
	}
	return nearest.Remedy(name, schema[s.path], manual)
}

// header returns the header of a section, as written in a file.
func header(path string) string {
	if path == "runners" || strings.HasSuffix(path, ".policy") {
		return "[[" + path + "]]"
	}
	return "[" + path + "]"
}

// mistyped reports a value of the wrong type.
func (s section) mistyped(n *node, name, want, remedy string) {
	s.fault(CodeType, n, name, "is "+n.kind.noun()+", but must be "+want, remedy)
}

func (s section) str(name, absent string) string {
	n := s.get(name)
	if n == nil {
		return absent
	}
	if n.kind != kindString {
		s.mistyped(n, name, "a string", stringRemedy(n))
		return absent
	}
	return n.value.(string)
}

// line reads a text that messages and logs contain, or a path. A control character in it could forge a line of the log.
func (s section) line(name string) string {
	limit := safetext.MaxPath
	if name == "name" { // of a runner, which requests to the manager contain
		limit = safetext.MaxName
	}
	text := s.str(name, "")
	if n := s.get(name); n != nil && !s.isLine(n, name, text, limit) {
		return ""
	}
	return text
}

// isLine reports whether text, the value of n, is empty or one printable line. Another text is a fault.
func (s section) isLine(n *node, name, text string, limit int) bool {
	if text == "" {
		return true
	}
	if strings.TrimSpace(text) == "" {
		s.fault(CodeText, n, name, "consists of white space", "write a value, or remove the line")
		return false
	}
	if err := safetext.CheckLine(text, limit); err != nil {
		s.fault(CodeText, n, name, err.Error(), fmt.Sprintf("write one line of at most %d bytes, without control characters", limit))
		return false
	}
	return true
}

// stringRemedy does not show the value, which may be a secret.
func stringRemedy(n *node) string {
	if n.kind == kindTable || n.kind == kindArray {
		return "write one value in quotes"
	}
	return "put the value in quotes"
}

func (s section) flag(name string, absent bool) bool {
	n := s.get(name)
	if n == nil {
		return absent
	}
	if n.kind != kindBool {
		remedy := "write true or false, without quotes"
		if text, ok := n.value.(string); ok {
			if v, err := strconv.ParseBool(text); err == nil {
				remedy = fmt.Sprintf("write %s = %t", name, v)
			}
		}
		s.mistyped(n, name, "true or false", remedy)
		return absent
	}
	return n.value.(bool)
}

// count reads an integer that must not be negative.
func (s section) count(name string) int {
	n := s.get(name)
	if n == nil {
		return 0
	}
	if n.kind != kindInteger {
		s.mistyped(n, name, "an integer", integerRemedy(name, n))
		return 0
	}
	v := n.value.(int64)
	switch {
	case v < 0:
		s.fault(CodeNegative, n, name, fmt.Sprintf("is %d, but a count cannot be negative", v), "write 0 or a positive number")
		return 0
	case v > math.MaxInt32: // more than any group needs, and an int on every platform
		s.fault(CodeRange, n, name, fmt.Sprintf("is %d, but the maximum is %d", v, math.MaxInt32), "write a smaller number")
		return 0
	}
	return int(v)
}

// positive reads a count, with a default for 0.
func (s section) positive(name string, absent int) int {
	if v := s.count(name); v != 0 {
		return v
	}
	s.zero(name, strconv.Itoa(absent))
	return absent
}

// zero warns that a key is set to 0, which looks like "none" or "no limit" and means the default.
func (s section) zero(name, absent string) {
	n := s.get(name)
	if n == nil {
		return
	}
	if isZero(n.value) {
		s.warn(CodeZeroDefault, n, name, "is 0, which means the default: "+absent, "remove the line, or write the value that you want")
	}
}

// isZero reports whether v, the value of a key, is a number or a duration of 0.
func isZero(v any) bool {
	switch v := v.(type) {
	case int64:
		return v == 0
	case float64:
		return v == 0
	case string:
		d, err := time.ParseDuration(v)
		return err == nil && d == 0
	}
	return false
}

func integerRemedy(name string, n *node) string {
	switch v := n.value.(type) {
	case string:
		if i, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64); err == nil {
			return fmt.Sprintf("write %s = %d", name, i)
		}
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return fmt.Sprintf("write %s = %d", name, int64(v))
		}
	}
	return "write a whole number, without quotes"
}

// size reads a number of bytes with its unit. It must lie between least and most.
func (s section) size(name string, absent, least, most int64) int64 {
	const remedy = `write a whole number and KiB, MiB or GiB, such as "64MiB"`
	text := s.str(name, "")
	if n := s.get(name); n == nil || n.kind != kindString { // a value of another type was reported by str
		return absent
	}
	digits := strings.TrimRight(text, "BGKMi")
	shift, known := map[string]int{"KiB": 10, "MiB": 20, "GiB": 30}[text[len(digits):]]
	n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
	if !known || err != nil || n < 0 {
		s.fault(CodeValue, s.get(name), name, fmt.Sprintf("is %q, which is not a size", text), remedy)
		return absent
	}
	if n > most>>shift || n<<shift < least {
		s.fault(CodeRange, s.get(name), name, fmt.Sprintf("is %q, which is out of range", text),
			fmt.Sprintf("write a size from %dMiB to %dGiB", least>>20, most>>30))
		return absent
	}
	return n << shift
}

// number reads an integer or a finite float.
func (s section) number(name string) float64 {
	n := s.get(name)
	if n == nil {
		return 0
	}
	v, ok := s.finite(n, name)
	if !ok {
		return 0
	}
	return v
}

func (s section) finite(n *node, name string) (float64, bool) {
	switch v := n.value.(type) {
	case int64:
		return float64(v), true
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			s.fault(CodeRange, n, name, "is not a finite number", "write a finite number")
			return 0, false
		}
		return v, true
	}
	s.mistyped(n, name, "a number", "write a number, without quotes")
	return 0, false
}

// elements returns the elements of an array, or nil.
func (s section) elements(name, want string) []*node {
	n := s.get(name)
	if n == nil {
		return nil
	}
	if n.kind != kindArray {
		remedy := "write the values in [ ]"
		if text, ok := n.value.(string); ok && want == "an array of strings" {
			remedy = fmt.Sprintf("write %s = [%q]", name, text)
		}
		s.mistyped(n, name, want, remedy)
		return nil
	}
	return n.elems
}

// texts reads an array of strings and returns the nodes of the strings.
func (s section) texts(name string) []*node {
	var out []*node
	for i, e := range s.elements(name, "an array of strings") {
		if e.kind != kindString {
			s.mistyped(e, fmt.Sprintf("%s[%d]", name, i), "a string", stringRemedy(e))
			continue
		}
		out = append(out, e)
	}
	return out
}

// buckets reads the rising bounds of a histogram. It returns nil when there are none.
func (s section) buckets(name string) []float64 {
	var out []float64
	for i, e := range s.elements(name, "an array of numbers") {
		at := fmt.Sprintf("%s[%d]", name, i)
		v, ok := s.finite(e, at)
		if !ok {
			continue
		}
		if len(out) > 0 && v <= out[len(out)-1] {
			s.fault(CodeRange, e, at, "is not greater than the bound before it", "write the bounds in rising order")
			continue
		}
		out = append(out, v)
	}
	return out
}

// table returns the section under name and reports its unknown keys.
func (s section) table(name string) section {
	n := s.get(name)
	if n != nil && n.kind != kindTable {
		s.mistyped(n, name, "a table", "write it as "+header(s.key(name)))
	}
	t := s.section(n, s.key(name))
	t.known()
	return t
}

// choice reads one of several words, in upper or lower case. accepted maps each lower-case word to its meaning; known is for messages.
func (s section) choice(name, absent string, accepted map[string]string, known []string) string {
	text := s.str(name, "")
	if text == "" {
		return absent
	}
	if v, ok := accepted[strings.ToLower(text)]; ok {
		return v
	}
	s.fault(CodeValue, s.get(name), name, fmt.Sprintf("unknown value %q", text), nearest.Remedy(text, known, manual))
	return absent
}

// same maps each word to itself.
func same(words ...string) map[string]string {
	m := make(map[string]string, len(words))
	for _, w := range words {
		m[w] = w
	}
	return m
}

// tables returns the tables of an array such as [[runners]], whose full name is header. It takes a single table as an array of one; then it
// first calls single with it.
func (s section) tables(name, header string, single func(n *node)) []*node {
	n := s.get(name)
	remedy := "write each " + strings.TrimSuffix(name, "s") + " as [[" + header + "]]"
	switch {
	case n == nil:
		return nil
	case n.kind == kindTable:
		single(n)
		return []*node{n}
	case n.kind != kindArray:
		s.mistyped(n, name, "an array of tables", remedy)
		return nil
	}
	var out []*node
	for _, e := range n.elems {
		if e.kind != kindTable {
			s.mistyped(e, name, "a table", remedy)
			continue
		}
		out = append(out, e)
	}
	return out
}

// The bounds of a duration that is not zero. Nothing that a manager waits for ends in less than the minimum, and a shorter interval would keep the
// provider and a processor busy. No group needs the maximum, and sums of a few such times do not overflow.
const (
	minDuration = time.Millisecond
	maxDuration = 100_000 * time.Hour // 11 years
)

// duration reads a Go duration. absent is the default, for an absent key and for zero.
func (s section) duration(name string, absent time.Duration) time.Duration {
	d, set := s.rawDuration(name)
	switch {
	case !set:
		return absent
	case d == 0:
		s.zero(name, words.Setting(absent))
		return absent
	case d < minDuration:
		s.fault(CodeRange, s.get(name), name, fmt.Sprintf("is %s, which is too short to work", d),
			fmt.Sprintf("write at least %q, or remove the line for the default, %s", minDuration, words.Setting(absent)))
		return absent
	}
	return d
}

const durationRemedy = `write a duration such as "90s", "20m" or "1h30m"`

// rawDuration reads a Go duration that may be zero. set is false when the key is absent or its value is a fault.
func (s section) rawDuration(name string) (d time.Duration, set bool) {
	n := s.get(name)
	if n == nil {
		return 0, false
	}
	switch v := n.value.(type) {
	case int64:
		remedy := "write a duration that is not negative, such as \"90s\""
		if v >= 0 {
			remedy = fmt.Sprintf("write %s = %q", name, proposeDuration(v))
		}
		s.mistyped(n, name, "a duration as a string", remedy)
		return 0, false
	case string:
		d, err := time.ParseDuration(v)
		if err != nil {
			remedy := durationRemedy
			if p := repairDuration(v); p != "" {
				remedy = fmt.Sprintf("write %s = %q", name, p)
			}
			s.fault(CodeDuration, n, name, fmt.Sprintf("%q is not a duration", v), remedy)
			return 0, false
		}
		if d < 0 {
			s.fault(CodeNegative, n, name, fmt.Sprintf("is %s, but a duration cannot be negative", v), "write a positive duration, or remove the line for the default")
			return 0, false
		}
		if d > maxDuration {
			s.fault(CodeRange, n, name, fmt.Sprintf("is %s, but the maximum is %dh", v, int64(maxDuration/time.Hour)), "write a shorter duration")
			return 0, false
		}
		return d, true
	}
	s.mistyped(n, name, "a duration as a string", durationRemedy)
	return 0, false
}

// proposeDuration turns an integer into the duration that was probably meant: nanoseconds when the number is large (1,000,000 or more),
// otherwise seconds.
func proposeDuration(v int64) string {
	if v >= int64(time.Millisecond) {
		return time.Duration(v).String()
	}
	return strconv.FormatInt(v, 10) + "s"
}

var looseDuration = regexp.MustCompile(`^\s*(\d{1,9})\s*([a-zA-Z]*)\s*$`)

// repairDuration returns the Go form of "10", "5 min" or "2 days", or "".
func repairDuration(text string) string {
	m := looseDuration.FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	switch strings.ToLower(m[2]) {
	case "", "s", "sec", "secs", "second", "seconds":
		return m[1] + "s"
	case "m", "min", "mins", "minute", "minutes":
		return m[1] + "m"
	case "h", "hr", "hrs", "hour", "hours":
		return m[1] + "h"
	case "d", "day", "days":
		n, _ := strconv.Atoi(m[1]) // no error: nine digits at most
		return strconv.Itoa(24*n) + "h"
	}
	return ""
}
