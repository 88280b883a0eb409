//go:build race

package optimise

const raceEnabled = true
