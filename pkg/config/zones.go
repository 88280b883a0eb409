package config

import (
	_ "embed"
	"strings"
	_ "time/tzdata" // zones must be known on machines without a time zone database
)

// zoneNames are the names of the IANA time zone database, one a line. They are only for finding the nearest one.
//
//go:embed zones.txt
var zoneNames string

// zoneRemedy proposes the zone that was probably meant, also where only its city was written.
func zoneRemedy(text string) string {
	zones := strings.Fields(zoneNames)
	folded := fold.Replace(strings.ToLower(text))
	for _, zone := range zones {
		_, city, _ := strings.Cut(zone, "/")
		if city != "" && fold.Replace(strings.ToLower(city)) == folded {
			return `did you mean "` + zone + `"?`
		}
	}
	if n := nearest(text, zones); n != "" {
		return `did you mean "` + n + `"?`
	}
	return `write a name of the IANA database such as "Europe/Berlin" or "Asia/Seoul"`
}
