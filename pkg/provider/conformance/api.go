package conformance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// API stands between a group and the API of its cloud, and can fail in place of the API.
type API interface {
	// Break makes the API fail until Mend or the next Break. While it fails, no request reaches the cloud, except with APIHalf.
	Break(f APIFault)
	// Mend ends the fault.
	Mend()
	// Requests returns how many requests, or tries to connect, have come so far.
	Requests() int
	// Open returns how many requests have no answer yet, and are still wanted.
	Open() int
}

// APIFault is a way in which an API fails.
type APIFault string

// The faults of an API.
const (
	APIDown         APIFault = "down"         // no connection
	APIUnauthorized APIFault = "unauthorized" // 401
	APIForbidden    APIFault = "forbidden"    // 403
	APINotFound     APIFault = "not-found"    // 404
	APIThrottled    APIFault = "throttled"    // 429, with Retry-After: APIRetryAfter
	APIBroken       APIFault = "broken"       // 500
	APISlow         APIFault = "slow"         // no answer
	APIHalf         APIFault = "half"         // half of the answer, and then the connection ends
)

// APIRetryAfter is what Retry-After says with APIThrottled.
const APIRetryAfter = 7 * time.Second

// Status returns the status of HTTP that the fault answers with; 0: it has none.
func (f APIFault) Status() int {
	switch f {
	case APIUnauthorized:
		return http.StatusUnauthorized
	case APIForbidden:
		return http.StatusForbidden
	case APINotFound:
		return http.StatusNotFound
	case APIThrottled:
		return http.StatusTooManyRequests
	case APIBroken:
		return http.StatusInternalServerError
	}
	return 0
}

// Limits of the calls while the API fails.
const (
	faultCall = 45 * time.Second // a client may try again for a while
	openGrace = 5 * time.Second  // how long a request may outlive its call
	slowCall  = time.Second      // for APISlow: its context ends then
)

// faultOf describes a fault: what it is called, the kinds that fit, and why they matter.
type faultOf struct {
	fault APIFault
	title string
	kinds []provider.FailureKind
	why   string
	hint  string
}

func apiFaults() []faultOf {
	transient, config := []provider.FailureKind{provider.KindTransient}, []provider.FailureKind{provider.KindConfig}
	return []faultOf{
		{APIDown, "no connection to the API", transient, "An outage of the cloud says nothing about machines. Another kind than transient delays the fleet, or condemns machines that work.",
			"Return errors of the connection as they are, or as KindTransient."},
		{APIUnauthorized, "the API answers 401", config, "Somebody must correct the credentials. With config the manager waits, and says so; else it asks for ever, and accounts get locked.",
			"Turn 401 into KindConfig."},
		{APIForbidden, "the API answers 403", config, "Somebody must grant a permission. With config the manager waits, and says so.", "Turn 403 into KindConfig."},
		{APINotFound, "the API answers 404", config, "The group itself is not there: somebody must correct its name. An empty list would make every job count as lost.",
			"Turn 404 of the group into KindConfig, and 404 of one machine into KindNotFound."},
		{APIThrottled, "the API answers 429", []provider.FailureKind{provider.KindThrottled}, "With throttled and RetryAfter the manager asks less often, and when it may; else it makes the outage of the account longer.",
			"Turn 429 into KindThrottled, and pass on Retry-After as RetryAfter if you can see it. Let the client try again only briefly: the manager does it anyway."},
		{APIBroken, "the API answers 500", transient, "A fault of the cloud says nothing about machines, and its end is near.", "Turn 5xx into KindTransient."},
		{APISlow, "the API does not answer", transient, "A call that hangs blocks the next one of its kind.", "Make every request with the context of the call."},
		{APIHalf, "the answer breaks off", transient, "Half a list looks like lost machines; and whether a create that was answered by half took effect is unknown.",
			"Return the error of reading and decoding the answer, and no partial list."},
	}
}

// apiChecks returns a check for each fault of an API. They are made only with Options.API.
func apiChecks() (all []check) {
	all = append(all, check{Check: Check{ID: "api-used", Title: "The calls go through the proxy", Why: "Otherwise nothing can be said of faults of the API."}, run: (*trial).apiUsed})
	for _, f := range apiFaults() {
		all = append(all, check{Check: Check{ID: "api-" + string(f.fault), Title: "When " + f.title, Why: f.why}, run: func(t *trial) { t.apiFault(f) }})
	}
	return all
}

// needsAPI skips a check without an API.
func (t *trial) needsAPI() API {
	if t.o.API == nil {
		skip("nothing stands between the group and its API: see Options.API, or --proxy of taskscaler plugin test")
	}
	return t.o.API
}

func (t *trial) apiUsed() {
	api := t.needsAPI()
	t.mustList()
	if api.Requests() == 0 {
		t.fail("Make the client honour HTTPS_PROXY and SSL_CERT_FILE. In Go: http.ProxyFromEnvironment, which leaves out localhost. A plugin without HTTP needs no --proxy.",
			"no request came through the proxy, in Init or in Update")
	}
}

// apiFault breaks the API, makes the calls, and mends it.
func (t *trial) apiFault(f faultOf) {
	api := t.needsAPI()
	if api.Requests() == 0 {
		cannot("no request comes through the proxy")
	}
	if f.fault == APIHalf && t.o.Live && !t.o.Fixed {
		t.makeRoom(1) // it may make one
	}
	id := t.running()
	b := &breakage{trial: t, api: api, faultOf: f}
	defer b.tell()
	api.Break(f.fault)
	defer api.Mend()
	b.list()
	b.connect(id)
	b.heartbeat(id)
	if t.o.Live && !t.o.Fixed {
		b.increase()
		b.decrease(id)
	}
	b.open()
	api.Mend()
	b.recovered()
	if b.asked == 0 {
		skip("no call made a request")
	}
}

// breakage is one fault while it is made.
type breakage struct {
	*trial
	faultOf
	api    API
	asked  int // calls that made a request
	wrongs []wrong
}

// wrong is one thing that several methods may do.
type wrong struct {
	change, what, detail string
	verbs                []string
}

// wrong notes what a method did.
func (b *breakage) wrong(change, verb, what, detail string) {
	for n := range b.wrongs {
		if w := &b.wrongs[n]; w.change == change && w.what == what {
			w.verbs = append(w.verbs, verb)
			return
		}
	}
	b.wrongs = append(b.wrongs, wrong{change, what, detail, []string{verb}})
}

// tell makes one finding of what several methods did.
func (b *breakage) tell() {
	for _, w := range b.wrongs {
		b.fail(w.change, "%s %s%s", strings.Join(w.verbs, ", "), w.what, w.detail)
	}
}

// call makes one call while the API fails. It reports false if the call made no request, so that the fault says nothing.
func (b *breakage) call(f func(context.Context) error) (error, bool) {
	limit := faultCall
	if b.fault == APISlow {
		limit = slowCall
	}
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	before := b.api.Requests()
	err := f(ctx)
	if b.api.Requests() == before {
		return err, false
	}
	b.asked++
	return err, true
}

// judge checks the kind of an error. more are kinds that fit this verb too.
func (b *breakage) judge(verb string, err error, more ...provider.FailureKind) {
	kind := provider.KindOf(err)
	var e *provider.Error
	switch {
	case err == nil:
		b.wrong(b.hint, verb, "answered without an error", "")
	case !slices.Contains(append(more, b.kinds...), kind):
		text := cut(strings.TrimPrefix(err.Error(), kind.String()+": "))
		b.wrong(b.hint, verb, fmt.Sprintf("returned an error of kind %s, where %s fits", kind, kindNames(b.kinds)), ": "+text)
	case b.fault == APIThrottled && errors.As(err, &e) && e.RetryAfter != 0 && (e.RetryAfter < APIRetryAfter-2*time.Second || e.RetryAfter > APIRetryAfter+time.Second):
		b.wrong(b.hint, verb, fmt.Sprintf("returned RetryAfter %s, and the API said %s", e.RetryAfter, APIRetryAfter), "")
	}
}

func kindNames(kinds []provider.FailureKind) string {
	var all []string
	for _, k := range kinds {
		all = append(all, k.String())
	}
	return strings.Join(all, " or ")
}

func (b *breakage) list() {
	if err, asked := b.call(func(ctx context.Context) error { _, err := b.lookUp(ctx); return err }); asked {
		b.judge("Update", err)
	}
}

func (b *breakage) connect(id string) {
	err, asked := b.call(func(ctx context.Context) error { _, err := connectWith(ctx, b.trial, b.group, id); return err })
	switch {
	case !asked || err == nil: // what it knows may be enough for an answer
	case b.fault == APINotFound:
		b.judge("ConnectInfo", err, provider.KindNotFound)
	default:
		b.judge("ConnectInfo", err)
	}
}

func (b *breakage) heartbeat(id string) {
	h, ok := b.group.(provider.Heartbeater)
	if !ok || !b.can(provider.CapabilityHeartbeat) {
		return
	}
	err, asked := b.call(func(ctx context.Context) error { return b.beat(ctx, h, id) })
	if asked && provider.KindOf(err) == provider.KindUnhealthy {
		b.wrong("Return KindUnhealthy only if the cloud says that this machine is unhealthy.", "Heartbeat", "called a machine unhealthy because "+b.title, ": "+cut(err.Error()))
	}
}

func (b *breakage) increase() {
	n, delta := 0, 2
	if b.fault == APIHalf {
		delta = 1
	}
	err, asked := b.call(func(ctx context.Context) (err error) { n, err = b.trial.increase(ctx, delta); return err })
	if !asked {
		return
	}
	b.judge("Increase", err)
	if n != 0 && b.fault != APIHalf {
		b.fail("Count only what the API accepted.", "Increase(%d) counted %d as accepted", delta, n)
	}
}

func (b *breakage) decrease(id string) {
	if b.fault == APIHalf {
		return // it may remove the machine, and what is left of the run needs it
	}
	var done []string
	err, asked := b.call(func(ctx context.Context) (err error) {
		done, err = attempt(ctx, b.session, "Decrease", func(ctx context.Context) ([]string, error) { return b.group.Decrease(ctx, []string{id}) })
		return err
	})
	switch {
	case broken(err):
		cannot("%s", err.Error())
	case !asked || b.fault == APINotFound: // what the API does not know counts as removed
	case len(done) > 0:
		b.fail("Count only what the API accepted.", "Decrease counted %q as accepted", done)
	default:
		b.judge("Decrease", err)
	}
}

// open looks for requests that go on although their calls have ended.
func (b *breakage) open() {
	for deadline := time.Now().Add(openGrace); b.api.Open() > 0; b.pause(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.fail("Make every request with the context of the call.", "%d requests still wait for the API %s after their calls have ended", b.api.Open(), openGrace)
			return
		}
	}
}

// recovered checks that lists work again soon.
func (b *breakage) recovered() {
	deadline := time.Now().Add(faultCall)
	for {
		_, err := b.trial.list()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			b.fail("Make a new request for each call, and keep no error of an earlier one.", "Update still fails %s after the fault has ended: %s", faultCall, orNil(err))
			return
		}
		b.pause(time.Second)
	}
}
