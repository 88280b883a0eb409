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

// zoneRemedy proposes the zone that was probably meant, also where only its city was written. Abbreviations are never guessed: that
// KST is one letter away from EST means nothing.
func zoneRemedy(text string) string {
	zones := []string{"UTC"}
	for _, zone := range strings.Fields(zoneNames) {
		area, city, _ := strings.Cut(zone, "/")
		if city == "" || area == "Etc" {
			continue
		}
		if fold(city) == fold(text) {
			return `did you mean "` + zone + `"?`
		}
		zones = append(zones, zone)
	}
	if n := nearest(text, zones); n != "" {
		return `did you mean "` + n + `"?`
	}
	return `write a name of the IANA database such as "Europe/Berlin" or "Asia/Seoul"`
}
