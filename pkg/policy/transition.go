package policy

import "time"

const (
	// horizon is how far NextChange looks, in seconds: 400 years, after which dates, weekdays and the rules of zones repeat. It only
	// ever counts for minutes that a zone's clock change skips every year; all else that never comes is known without a search.
	horizon = 400 * 365.2425 * secondsADay
	// maxUnix keeps sums of seconds far from overflow: some 30 million years.
	maxUnix = 1 << 50
	// reach is more than what local time can differ from UTC, or be put back at once, taken together.
	reach = 3 * secondsADay
)

// next is the first instant at or after from, and before limit, at which the policy matches (or does not); limit if there is none. The
// policy must be in the other state at from.
//
// It walks the stretches of constant offset. Within one, local time runs as evenly as UTC, and the calendar answers at once.
func (r *rule) next(from, limit int64, inside bool) int64 {
	for at := from; at < limit; {
		offset, end := stretch(r.loc, at)
		local, ok := r.cal.next(at+offset, inside)
		if !ok {
			return limit
		}
		if hit := max(local-offset, at); hit < end { // a stretch may begin in the middle of a local minute
			return min(hit, limit)
		}
		at = skip(at, end, local)
	}
	return limit
}

// skip is where the search goes on after a stretch without a hit: at its end, or far later if the calendar is empty until local. Local
// times from at on to local do not match. Those before at can come back, but only if clocks are put back within reach of it.
func skip(at, end, local int64) int64 {
	if far := local - reach; end > at+reach && far > end {
		return far
	}
	return end
}

// stretch is the offset from UTC that holds at the instant and until when it does. It may end early: that costs a round, no more.
func stretch(loc *time.Location, at int64) (offset, end int64) {
	t := time.Unix(at, 0).In(loc)
	_, off := t.Zone()
	_, bound := t.ZoneBounds()
	if bound.IsZero() {
		return int64(off), 1 << 62
	}
	end = bound.Unix()
	if end <= at {
		// Package time takes every year of a zone's rule for 365 days, so that on the last day of a leap year the end has gone by.
		end = time.Date(t.UTC().Year()+1, time.January, 1, 0, 0, 0, 0, time.UTC).Unix()
	}
	return int64(off), end
}
