package policy

import "time"

const (
	// horizon is how far NextChange looks, in seconds: 400 years, after which dates, weekdays and time zone rules repeat. It only matters
	// for minutes that a clock change skips every year; every other minute that never occurs is recognised without a search.
	horizon = 400 * 365.2425 * secondsADay
	// maxUnix keeps sums of seconds far from overflow: about 30 million years.
	maxUnix = 1 << 50
	// reach is larger than the sum of the largest difference between local time and UTC and the largest step back of a local clock.
	reach = 3 * secondsADay
)

// next returns the first instant at or after from, and before limit, at which the policy matches (or does not match); limit if there is
// none. The policy must be in the other state at from.
//
// It goes through the time spans with a constant UTC offset. Within one, local time advances like UTC, and the calendar answers in one
// query.
func (r *rule) next(from, limit int64, inside bool) int64 {
	for at := from; at < limit; {
		offset, end := stretch(r.loc, at)
		local, ok := r.cal.next(at+offset, inside)
		if !ok {
			return limit
		}
		if hit := max(local-offset, at); hit < end { // a span may begin in the middle of a local minute
			return min(hit, limit)
		}
		at = skip(at, end, local)
	}
	return limit
}

// skip returns where the search continues after a span without a result: at its end, or much later when the calendar is empty until local.
// The local times between at and local do not match. Those before at can occur again only if the clock is set back within reach of at.
func skip(at, end, local int64) int64 {
	if far := local - reach; end > at+reach && far > end {
		return far
	}
	return end
}

// stretch returns the UTC offset at the instant, and when it ends. The returned end may be too early, which only costs one more round.
func stretch(loc *time.Location, at int64) (offset, end int64) {
	t := time.Unix(at, 0).In(loc)
	_, off := t.Zone()
	_, bound := t.ZoneBounds()
	if bound.IsZero() {
		return int64(off), 1 << 62
	}
	end = bound.Unix()
	if end <= at {
		// Package time counts 365 days for every year of a zone's rule. So on the last day of a leap year the returned end is in the past.
		end = time.Date(t.UTC().Year()+1, time.January, 1, 0, 0, 0, 0, time.UTC).Unix()
	}
	return int64(off), end
}
