package policy

// Codes of notices, stable for machines.
const (
	NoticeSevenFields = "seven_fields"      // seconds and year around the five fields
	NoticeSixFields   = "six_fields"        // seconds before or a year after the five fields
	NoticeWrap        = "wrapping_range"    // a range that runs past the end of its field, such as fri-sun or 22-6
	NoticeStep        = "step_beyond_range" // a step so large that only the first value is left
	NoticeOneMinute   = "one_minute_hour"   // the minute field has one value: the period is one minute an hour
	NoticeNever       = "never"             // no date matches, such as 30 February
)

// Notice is a warning about a period that could be read but may not mean what its author thinks.
type Notice struct {
	Code    string // one of the Notice constants
	Message string // for people: what it means and what to write
}
