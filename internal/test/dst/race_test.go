//go:build race

package dst

func init() { underRace = true }
