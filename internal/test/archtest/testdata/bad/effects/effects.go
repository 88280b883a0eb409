// Package effects speaks to the world.
package effects

import (
	"context"
	"log"
	"log/slog"
)

func f(ctx context.Context) { // want "context"
	log.Print("x") // want "log"
	slog.Info("x") // want "log"
	<-ctx.Done()   // want "context" "channel"
}
