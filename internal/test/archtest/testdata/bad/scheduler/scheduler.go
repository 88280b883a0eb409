// Package scheduler runs cron itself.
package scheduler

import "github.com/robfig/cron/v3"

func f() {
	c := cron.New()  // want "cron"
	c.Start()        // want "cron"
	var d *cron.Cron // want "cron"
	_ = d
	_ = cron.Every(1)    // want "cron"
	_ = cron.WithSeconds // want "cron"
}
