package config

import (
	_ "embed"
	"strings"
	_ "time/tzdata" // time zones must be known on machines without a time zone database

	"github.com/taskscaler/taskscaler/internal/nearest"
)

// zoneNames are the names of the IANA time zone database, one per line. They are used only to suggest a name.
//
//go:embed zones.txt
var zoneNames string

// zoneRemedy suggests the time zone that was probably meant, also when only its city was written. It does not guess abbreviations: KST
// differs from EST in one letter, but is not close to it.
func zoneRemedy(text string) string {
	zones := []string{"UTC"}
	for _, zone := range strings.Fields(zoneNames) {
		area, city, _ := strings.Cut(zone, "/")
		if city == "" || area == "Etc" {
			continue
		}
		if nearest.Fold(city) == nearest.Fold(text) {
			return nearest.DidYouMean(zone)
		}
		zones = append(zones, zone)
	}
	if n := nearest.Guess(text, zones); n != "" {
		return nearest.DidYouMean(n)
	}
	return `write an IANA name such as "Europe/Berlin" or "Asia/Seoul"`
}
