package plugin

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"
)

// version is a semantic version. Build metadata does not count.
type version struct {
	part [3]int
	pre  string // such as "rc.1"; empty for a release
}

var versionText = regexp.MustCompile(`^v?(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$`)

func parseVersion(text string) (v version, ok bool) {
	m := versionText.FindStringSubmatch(text)
	if m == nil {
		return version{}, false
	}
	for i := range v.part {
		v.part[i], _ = strconv.Atoi(m[i+1]) // at most nine digits
	}
	v.pre = m[4]
	return v, true
}

// compare orders versions as semver.org says: a pre-release comes before its release.
func (v version) compare(o version) int {
	for i := range v.part {
		if c := cmp.Compare(v.part[i], o.part[i]); c != 0 {
			return c
		}
	}
	switch {
	case v.pre == o.pre:
		return 0
	case v.pre == "":
		return 1
	case o.pre == "":
		return -1
	}
	return comparePre(strings.Split(v.pre, "."), strings.Split(o.pre, "."))
}

func comparePre(a, b []string) int {
	for i := range min(len(a), len(b)) {
		n, errA := strconv.Atoi(a[i])
		m, errB := strconv.Atoi(b[i])
		c := cmp.Compare(a[i], b[i])
		switch {
		case errA == nil && errB == nil:
			c = cmp.Compare(n, m)
		case errA == nil: // numbers come before words
			c = -1
		case errB == nil:
			c = 1
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

// constraint says which versions of a plugin are meant: "latest" and "" all of them, "1" and "1.5" those that begin so, "1.5.1" this one.
type constraint string

var constraintText = regexp.MustCompile(`^(latest|v?\d{1,9}(\.\d{1,9}){0,2}|v?\d{1,9}\.\d{1,9}\.\d{1,9}[-+][0-9A-Za-z.+-]+)$`)

func (c constraint) valid() bool { return c == "" || constraintText.MatchString(string(c)) }

// any reports whether all versions are meant.
func (c constraint) any() bool { return c == "" || c == "latest" }

// allows reports whether a version is meant. A pre-release is, only if it is written out, or if all versions are meant.
func (c constraint) allows(v version) bool {
	if c.any() {
		return true
	}
	if exact, ok := parseVersion(string(c)); ok {
		return exact.compare(v) == 0
	}
	if v.pre != "" {
		return false
	}
	for i, text := range strings.Split(strings.TrimPrefix(string(c), "v"), ".") {
		if n, err := strconv.Atoi(text); err != nil || i >= len(v.part) || n != v.part[i] {
			return false
		}
	}
	return true
}

// newest returns the index of the newest version that is meant, or -1. With no constraint a pre-release is chosen only if there is no release.
func (c constraint) newest(versions []version) int {
	best := -1
	better := func(a, b version) bool {
		if c.any() && (a.pre == "") != (b.pre == "") {
			return a.pre == ""
		}
		return a.compare(b) > 0
	}
	for i, v := range versions {
		if c.allows(v) && (best < 0 || better(v, versions[best])) {
			best = i
		}
	}
	return best
}
