package brokengroup

// Fault is one way of being wrong.
type Fault struct {
	Name  string // plugin_config.break
	What  string // what the group does
	Finds []string
	// Process lists the checks that find it in a plugin process. Nil: it is not started as one, because nothing differs.
	Process []string
	// Slow says that it is found by a time limit.
	Slow bool
}

func one(id string) []string { return []string{id} }

// Faults returns all faults.
func Faults() []Fault {
	var all []Fault
	for _, group := range [][]Fault{initFaults(), listFaults(), increaseFaults(), decreaseFaults(), connectFaults(), healthFaults(), endFaults()} {
		all = append(all, group...)
	}
	return all
}

func initFaults() []Fault {
	return []Fault{
		{Name: "init-fails", What: "Init fails with a configuration that is right", Finds: one("init")},
		{Name: "init-panics", What: "Init panics", Finds: one("no-panic"), Process: one("no-panic")},
		{Name: "init-blocks", What: "Init never returns", Finds: one("calls-return"), Process: one("init"), Slow: true},
		{Name: "id-empty", What: "ProviderInfo.ID is empty", Finds: one("group-id"), Process: one("init")},
		{Name: "id-control", What: "ProviderInfo.ID has a control character", Finds: one("group-id")},
		{Name: "id-changes", What: "ProviderInfo.ID differs at each start", Finds: one("same-id"), Process: one("same-id")},
		{Name: "size-negative", What: "MaxSize is negative", Finds: one("max-size")},
		{Name: "claims-heartbeat", What: "Init announces heartbeats, and there is no method", Finds: one("capabilities")},
		{Name: "claims-suspend", What: "Init announces suspend_resume, and the methods say that it is not supported", Finds: one("capabilities")},
		{Name: "prints-first", What: "it prints before the handshake", Process: one("init")},
		{Name: "exits-first", What: "it exits at once", Process: one("init")},
	}
}

func listFaults() []Fault {
	return []Fault{
		{Name: "list-fails", What: "every list is an error", Finds: one("list")},
		{Name: "list-panics", What: "Update panics", Finds: one("no-panic"), Process: one("no-panic")},
		{Name: "list-blocks", What: "Update never returns", Finds: one("calls-return"), Slow: true},
		{Name: "list-slow", What: "Update has not finished at its deadline", Finds: one("list"), Slow: true},
		{Name: "list-hangs-when-cancelled", What: "Update hangs when its context was cancelled", Finds: one("calls-return"), Slow: true},
		{Name: "list-half-when-cancelled", What: "Update returns nil when its context ended before the list was complete", Finds: one("cancelled-list")},
		{Name: "list-forgets", What: "every second list lacks a running machine, without an error", Finds: one("list-complete"), Process: one("list-complete")},
		{Name: "list-repeats", What: "a list has the last machine twice", Finds: one("ids-unique")},
		{Name: "list-invents", What: "a list has a machine that does not exist", Finds: one("no-unasked-machine")},
		{Name: "list-revives", What: "a machine that was gone is listed again", Finds: one("no-unasked-machine")},
		{Name: "list-loses", What: "a machine disappears for ever that nobody removed", Finds: one("no-unasked-removal")},
		{Name: "list-deletes", What: "a machine is reported as deleting that nobody removed", Finds: one("no-unasked-removal")},
		{Name: "ids-empty", What: "a list has a machine without an id", Finds: one("ids-form")},
		{Name: "ids-control", What: "ids have control characters", Finds: one("ids-form"), Process: one("ids-form")},
		{Name: "ids-long", What: "ids have more than 512 bytes", Finds: one("ids-form")},
		{Name: "ids-bytes", What: "ids are not UTF-8", Finds: one("ids-form")},
		{Name: "state-unknown", What: "a machine that boots has the state of the cloud's own name", Finds: one("states-known")},
		{Name: "state-empty", What: "a machine that boots has no state", Finds: one("states-known")},
		{Name: "state-backwards", What: "a running machine is now and then creating again", Finds: one("states-forward")},
		{Name: "state-early", What: "a machine is reported as running before it can be reached", Finds: one("connect-info"), Process: one("connect-info")},
		{Name: "state-never", What: "a machine never runs", Finds: one("boots"), Slow: true},
		{Name: "serial", What: "calls fail while another one is running", Finds: one("concurrent")},
	}
}

func increaseFaults() []Fault {
	return []Fault{
		{Name: "increase-fails", What: "the provider never has a machine", Finds: one("increase")},
		{Name: "increase-panics", What: "Increase panics", Finds: one("no-panic"), Process: one("no-panic")},
		{Name: "increase-dies", What: "a goroutine of Increase panics", Process: one("stays-alive")},
		{Name: "increase-blocks", What: "Increase never returns", Finds: one("calls-return"), Slow: true},
		{Name: "increase-zero", What: "Increase accepts nothing and gives no reason", Finds: one("increase")},
		{Name: "increase-silent", What: "Increase accepts machines that never come", Finds: one("appears"), Slow: true},
		{Name: "increase-overcounts", What: "Increase says that it accepted one more than it was asked for", Finds: one("increase-count"), Process: one("increase")},
		{Name: "increase-undercounts", What: "Increase makes two machines and says that it was one", Finds: one("increase-count")},
		{Name: "increase-drops", What: "of two machines one is made, and both are counted", Finds: one("increase-count"), Slow: true},
		{Name: "increase-doubles", What: "two machines come for each that is asked for", Finds: one("no-unasked-machine")},
		{Name: "limit-drops-partial", What: "at the limit, what was made is not counted", Finds: one("increase-beyond")},
		{Name: "limit-ignored", What: "more machines are made than MaxSize", Finds: one("increase-beyond")},
		{Name: "limit-silent", What: "at the limit fewer machines are made, without an error", Finds: one("increase-beyond")},
		{Name: "limit-no-kind", What: "the error at the limit has no kind", Finds: one("limit-kind")},
		{Name: "cancelled-zero", What: "Increase with a context that has ended accepts nothing and gives no reason", Finds: one("cancelled-changes")},
		{Name: "cancelled-quota", What: "Increase with a context that has ended says that a quota is reached", Finds: one("cancelled-changes")},
		{Name: "kind-unknown", What: "errors have a kind that does not exist", Finds: one("error-kinds")},
		{Name: "kind-no-text", What: "errors have no text", Finds: one("error-kinds")},
	}
}

func decreaseFaults() []Fault {
	return []Fault{
		{Name: "decrease-panics", What: "Decrease panics", Finds: one("no-panic")},
		{Name: "decrease-blocks", What: "Decrease never returns", Finds: one("calls-return"), Slow: true},
		{Name: "decrease-other", What: "Decrease removes another machine", Finds: one("decrease-exact"), Process: one("decrease-exact")},
		{Name: "decrease-nothing", What: "Decrease accepts and removes nothing", Finds: one("decrease-gone"), Slow: true},
		{Name: "decrease-accepts-nothing", What: "Decrease removes, and returns no id", Finds: one("decrease-exact")},
		{Name: "decrease-foreign", What: "Decrease also returns an id that nobody asked for", Finds: one("decrease-exact"), Process: one("decrease-exact")},
		{Name: "decrease-empty-all", What: "Decrease of nothing removes everything", Finds: one("decrease-empty")},
		{Name: "decrease-empty-fails", What: "Decrease of nothing is an error", Finds: one("decrease-empty")},
		{Name: "decrease-unknown-fails", What: "Decrease of an id that was never known is an error", Finds: one("decrease-unknown")},
		{Name: "decrease-unknown-any", What: "Decrease of an unknown id removes another machine", Finds: one("decrease-unknown")},
		{Name: "decrease-gone-fails", What: "Decrease of a machine that is gone is an error", Finds: one("decrease-once-known")},
		{Name: "decrease-again-fails", What: "Decrease of a machine that is being removed is an error", Finds: one("decrease-repeated")},
		{Name: "decrease-again-other", What: "Decrease of a machine that is being removed removes another one", Finds: one("decrease-repeated")},
		{Name: "decrease-twice-fails", What: "an id that is named twice in one call is an error", Finds: one("decrease-twice-in-one")},
		{Name: "decrease-stays", What: "a removed machine stays deleting for ever", Finds: one("decrease-gone"), Slow: true},
	}
}

func connectFaults() []Fault {
	return []Fault{
		{Name: "connect-panics", What: "ConnectInfo panics", Finds: one("no-panic")},
		{Name: "connect-exits", What: "ConnectInfo of a running machine ends the process", Process: one("stays-alive")},
		{Name: "connect-blocks", What: "ConnectInfo never returns", Finds: one("calls-return"), Slow: true},
		{Name: "connect-fails", What: "ConnectInfo of a running machine fails for ever", Finds: one("connect-info"), Slow: true},
		{Name: "connect-unknown-any", What: "ConnectInfo of an unknown id has an answer", Finds: one("connect-unknown")},
		{Name: "connect-unknown-plain", What: "the error of an unknown id has no kind", Finds: one("connect-unknown"), Process: one("connect-unknown")},
		{Name: "connect-user", What: "ConnectInfo overwrites the operator's user", Finds: one("connect-settings")},
		{Name: "connect-password", What: "ConnectInfo overwrites the operator's password", Finds: one("connect-settings")},
		{Name: "connect-key", What: "ConnectInfo overwrites the operator's key", Finds: one("connect-settings")},
		{Name: "connect-port", What: "ConnectInfo overwrites the operator's port", Finds: one("connect-settings")},
		{Name: "connect-timeout", What: "ConnectInfo drops the operator's timeout", Finds: one("connect-settings")},
		{Name: "connect-other-id", What: "ConnectInfo answers for another machine", Finds: one("connect-form")},
		{Name: "connect-bad-port", What: "the port is 70000", Finds: one("connect-form")},
		{Name: "connect-expired", What: "the credentials have expired", Finds: one("connect-form")},
		{Name: "connect-no-address", What: "there is no address", Finds: one("address")},
		{Name: "connect-url", What: "the address is a URL", Finds: one("address")},
		{Name: "connect-bad-host-key", What: "the host key is a fingerprint", Finds: one("host-keys"), Process: one("host-keys")},
		{Name: "connect-wrong-host-key", What: "the host key is that of another machine", Finds: one("connects")},
		{Name: "connect-wrong-password", What: "the password is not that of the machine", Finds: one("connects")},
	}
}

func healthFaults() []Fault {
	return []Fault{
		{Name: "heartbeat-panics", What: "Heartbeat panics", Finds: one("no-panic")},
		{Name: "heartbeat-never", What: "every machine is unhealthy", Finds: one("heartbeat")},
		{Name: "heartbeat-always", What: "no machine is unhealthy", Finds: one("heartbeat-sick")},
		{Name: "heartbeat-unknown", What: "an unknown machine is unhealthy", Finds: one("heartbeat-unknown")},
		{Name: "heartbeat-cancelled", What: "a heartbeat that was given up says that the machine is unhealthy", Finds: one("cancelled-list")},
		{Name: "suspend-nothing", What: "Suspend accepts and does nothing", Finds: one("suspend-resume"), Slow: true},
		{Name: "suspend-panics", What: "Suspend panics", Finds: one("no-panic")},
		{Name: "resume-fails", What: "Resume is an error", Finds: one("suspend-resume")},
	}
}

func endFaults() []Fault {
	return []Fault{
		{Name: "start-deletes", What: "Init removes the machines that it finds", Finds: one("beside"), Process: one("beside")},
		{Name: "start-forgets", What: "machines are known only to the process that made them", Finds: one("existing"), Process: one("existing")},
		{Name: "start-loses-booting", What: "Init removes machines that the process before has not yet seen running", Process: one("kill-booting")},
		{Name: "lock-stays", What: "a removal takes a lock that a kill leaves behind", Process: one("kill-deleting")},
		{Name: "orphan-stays", What: "a process of it goes on when its host dies", Process: one("orphan")},
		{Name: "orphan-deletes", What: "it removes its machines when its host dies", Process: one("orphan")},
		{Name: "shutdown-deletes", What: "Shutdown removes its machines", Finds: one("shutdown-keeps"), Process: one("shutdown-keeps")},
		{Name: "shutdown-fails", What: "Shutdown is an error", Finds: one("shutdown"), Process: one("shutdown")},
		{Name: "shutdown-panics", What: "Shutdown panics", Finds: one("no-panic")},
		{Name: "shutdown-blocks", What: "Shutdown never returns", Finds: one("calls-return"), Process: one("shutdown"), Slow: true},
		{Name: "leaks-goroutine", What: "a goroutine is left after Shutdown", Finds: one("nothing-left"), Slow: true},
		{Name: "leaks-process", What: "a process is left after Shutdown, and after the death of the host", Process: []string{"orphan", "nothing-left"}},
		{Name: "leaks-file", What: "a temporary file is left after Shutdown", Process: one("nothing-left")},
		{Name: "prints", What: "it prints in a call", Process: one("output-silent")},
	}
}
