package plugin

import (
	"log/slog"
	"sync"
	"time"
)

// tooManyUnanswered is how many calls of one method a plugin may leave without an answer in a row. Then it is killed.
const tooManyUnanswered = 2

// answers remembers, for each method, how many calls in a row got no answer until their deadlines. A plugin answers before the deadline, if
// only to say that it ran out of time, because its own context ends a little earlier.
type answers struct {
	mu      sync.Mutex
	missing map[string]silence
}

type silence struct {
	calls int
	until time.Time // when the last of them ended
}

func (a *answers) answered(method string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.missing, method)
}

// missed counts a call that began at began and got no answer until now. It reports whether there were too many. Calls that overlap count once:
// one bad moment is enough for all of them. Calls that had less time than short do not count: their answers may just have come too late.
func (a *answers) missed(method string, began, now time.Time, short time.Duration) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.missing == nil {
		a.missing = map[string]silence{}
	}
	s := a.missing[method]
	if now.Sub(began) >= short && !began.Before(s.until) {
		s = silence{s.calls + 1, now}
		a.missing[method] = s
	}
	return s.calls >= tooManyUnanswered
}

// unanswered kills c if it leaves calls without an answer although it answers health checks. Then it is started again, and until then it is away.
func (p *Process) unanswered(c *child, method string, began time.Time) {
	if !c.answers.missed(method, began, time.Now(), p.opts.shortCall) {
		p.suspect(c)
		return
	}
	if c.run.hasExited() || c.hung.Swap(true) {
		return
	}
	p.log.Warn("the plugin does not answer its calls and is killed: a call must return soon after its context has ended", slog.Int("pid", c.pid),
		slog.String("call", method), slog.Int("unanswered", tooManyUnanswered))
	c.kill()
}
