package ec2

import (
	"fmt"
	"strings"
	"time"
)

// activity is a scaling activity of a group.
type activity struct {
	id          string
	group       *group
	description string
	cause       string
	start       time.Time
	end         time.Time // zero: under way
	status      string
	message     string
	progress    int
	details     string
}

// begin adds an activity to the group's history.
func (g *group) begin(at time.Duration, status string, progress int, description string, cause ...string) *activity {
	a := &activity{
		id: requestID(), group: g, description: description, cause: strings.Join(cause, "  "), start: g.server.at(at), status: status, progress: progress,
		details: fmt.Sprintf(`{"Subnet ID":%q,"Availability Zone":%q}`, g.server.network.subnets[0].id, g.server.network.subnets[0].zone),
	}
	g.activities = append(g.activities, a)
	return a
}

// finish ends an activity well.
func (a *activity) finish(at time.Time) {
	if a == nil || !a.end.IsZero() {
		return
	}
	a.end, a.status, a.progress = at, "Successful", 100
}

// fail ends an activity with the message of why it failed.
func (a *activity) fail(at time.Time, message string) {
	a.end, a.status, a.progress, a.message = at, "Failed", 100, message
}

// said is a part of a cause: when, and what.
func (g *group) said(at time.Duration, format string, args ...any) string {
	return "At " + seconds(g.server.at(at)) + " " + fmt.Sprintf(format, args...)
}
