package policy

// Codes of notices. Programs may depend on them: they do not change.
const (
	NoticeSevenFields = "seven_fields"      // has a seconds field before and a year field after the five fields
	NoticeSixFields   = "six_fields"        // has a seconds field before or a year field after the five fields
	NoticeWrap        = "wrapping_range"    // a range runs past the end of its field, such as fri-sun or 22-6
	NoticeStep        = "step_beyond_range" // the step is so large that only the first value is left
	NoticeOneMinute   = "one_minute_hour"   // the minute field has one value: the period matches one minute of each hour
	NoticeNever       = "never"             // no date matches, such as 30 February
)

// Notice is a warning about a period that can be parsed, but may not mean what its author intended.
type Notice struct {
	Code    string // one of the Notice constants
	Message string // human-readable: what the period means and what to write
}
