package conformance

// checks returns the checks in the order in which they are made. The first are made on the group as it is; the next on one machine, then on several;
// then machines are removed, the process is killed, and the group is shut down. The rules come last.
func checks() []check {
	why := func(id, title, why string, run func(*trial)) check {
		return check{Check: Check{ID: id, Title: title, Why: why}, run: run}
	}
	live := func(id, title, why string, run func(*trial)) check {
		return check{Check: Check{ID: id, Title: title, Why: why, Live: true}, run: run}
	}
	always := func(c check) check {
		c.always = true
		return c
	}
	all := []check{
		always(why("init", "Init succeeds in time", "A fleet whose plugin does not start runs no job.", (*trial).init)),
		why("group-id", "Init says which group it is", "The manager binds its state to this id. Without one it cannot tell its machines from those of another group.", (*trial).groupID),
		why("max-size", "MaxSize is a number of machines", "The manager never asks for more. A wrong limit stops the fleet from growing.", (*trial).maxSize),
		why("capabilities", "What is announced is there", "The manager relies on what is announced, e.g. on heartbeats to find dead machines.", (*trial).capabilities),
		always(why("list", "Update lists the group", "Without a list the manager knows nothing, and neither grows nor shrinks the fleet.", (*trial).firstList)),
		why("connect-unknown", "ConnectInfo of an unknown id is not_found", "Only this kind tells the manager that a machine is gone; else it retries for minutes while a job waits.", (*trial).connectUnknown),
		why("heartbeat-unknown", "Heartbeat of an unknown id says nothing about health", "A machine that one reader of the cloud does not know yet must not be deleted as unhealthy.", (*trial).heartbeatUnknown),
	}
	all = append(all, oneMachine(why, live)...)
	all = append(all, severalMachines(why, live)...)
	all = append(all, apiChecks()...)
	all = append(all, removals(live)...)
	return append(append(all, ends(why, live, always)...), rules()...)
}

type entryOf = func(id, title, why string, run func(*trial)) check

func oneMachine(why, live entryOf) []check {
	return []check{
		live("increase", "Increase accepts one machine", "It is how a fleet grows.", (*trial).increaseOne),
		live("appears", "An accepted machine appears in Update", "The manager counts on every machine that was accepted; one that never appears blocks room for others until its deadline.", (*trial).appears),
		live("boots", "A machine becomes running", "Only a running machine gets jobs.", (*trial).boots),
		why("connect-info", "ConnectInfo works as soon as a machine is running", "Running is the signal to connect. If that is too early, the machine is condemned as unreachable.", (*trial).connectInfo),
		live("beside", "A second Init leaves the first one alone", "At a reload the manager starts a second process to read the limit, while jobs run on the first.", (*trial).besideFirst),
		live("existing", "A new start lists the machines that exist", "After an update of the manager its machines must be found again, with the jobs on them; else they cost money for ever.", (*trial).existing),
		why("same-id", "The group has the same id at every start", "After a restart with another id the manager refuses to run, and the machines cost money unused.", (*trial).sameID),
		why("connect-form", "ConnectInfo answers for this machine, with a possible protocol, port and time", "A wrong value is an error of every connection.", (*trial).connectForm),
		why("address", "ConnectInfo has an address", "The manager connects to it.", (*trial).address),
		why("host-keys", "Host keys have the form of authorized_keys", "With a host key nobody can pretend to be the machine; a key that cannot be read fails every connection.", (*trial).hostKeys),
		why("connects", "The connect info really connects", "It is what every job needs.", (*trial).connects),
		why("connect-settings", "ConnectInfo keeps what the operator set", "Whoever sets a user, a key or a port in connector_config has a reason, e.g. an image of their own.", (*trial).connectSettings),
		why("heartbeat", "A running machine is healthy", "An unhealthy machine is deleted, with its jobs.", (*trial).heartbeat),
	}
}

func severalMachines(why, live entryOf) []check {
	return []check{
		live("increase-count", "Increase says how many machines it accepted", "Too high a count makes jobs wait for machines that never come; too low a count makes machines twice.", (*trial).increaseCount),
		live("suspend-resume", "Suspend and Resume do it", "A fleet that suspends machines to save money must get them back.", (*trial).suspendResume),
		why("cancelled-list", "Calls that only read give up with their context", "The manager ends calls at their limit and when it stops. A call that goes on delays the next ones, and half a list looks like lost machines.", (*trial).cancelledReads),
	}
}

func removals(live entryOf) []check {
	return []check{
		live("decrease-empty", "Decrease of nothing removes nothing", "An empty list is not an error, and does not mean all.", (*trial).decreaseEmpty),
		live("decrease-unknown", "Decrease of an unknown id counts as removed, and removes nothing", "The manager repeats a Decrease until the machine is gone. An error would be repeated for ever.", (*trial).decreaseUnknown),
		live("decrease-exact", "Decrease accepts exactly what it is asked to remove", "A removal that hits another machine kills the jobs on it.", (*trial).decreaseExact),
		live("decrease-gone", "A removed machine is gone in the end", "A machine that stays costs money and takes up room.", (*trial).decreaseGone),
		live("decrease-once-known", "Decrease of a machine that is gone counts as removed", "The manager asks again when an answer was lost, perhaps after the machine has gone.", (*trial).decreaseOnceKnown),
		live("gone", "ConnectInfo and Heartbeat know when a machine is gone", "The manager asks about a machine until a list lacks it. Only not_found says that it is gone; a panic takes everything down.", (*trial).aboutGone),
		live("concurrent", "Several calls at once work", "The manager lists, connects and creates at the same time.", (*trial).concurrent),
		live("decrease-repeated", "Decrease may be repeated while it is in progress", "The manager repeats it until the machine is gone. A repetition that counts as a second removal kills another machine.", (*trial).decreaseRepeated),
		live("decrease-twice-in-one", "An id that is named twice in one call is removed once", "A list may name a machine twice after a retry.", (*trial).decreaseTwice),
		live("cancelled-changes", "Increase and Decrease give up with their context", "The manager ends calls at their limit. What was accepted until then must not be lost.", (*trial).cancelledChanges),
		live("increase-beyond", "Beyond the limit Increase makes what fits, and says both", "At the limit the manager must know what it has. A count that is dropped is machines that nobody accounts for.", (*trial).increaseBeyond),
		live("limit-kind", "The error at the limit has a kind", "With quota, capacity or config the manager waits longer and tells the jobs why; any other error leaves it in doubt what was created.", (*trial).limitKind),
		live("heartbeat-sick", "An unhealthy machine is found", "Jobs fail on it until it is replaced.", (*trial).heartbeatSick),
	}
}

func ends(why, live entryOf, always func(check) check) []check {
	return []check{
		live("kill-booting", "A kill in mid-boot loses no machine", "Managers and plugins crash. A machine that nobody remembers costs money for ever.", (*trial).killBooting),
		live("kill-deleting", "A kill in mid-removal does not stop the removal for good", "The manager repeats it after the restart, and then it must work.", (*trial).killDeleting),
		live("orphan", "When the host dies, the plugin ends and removes nothing", "Jobs go on while the manager is started again. What outlives a host works against the next one.", (*trial).orphan),
		always(why("shutdown", "Shutdown succeeds in time", "A manager that stops waits for it.", (*trial).shutdown)),
		live("shutdown-keeps", "Shutdown removes no machine", "An update of the manager must not kill the jobs of a fleet.", (*trial).shutdownKeeps),
		always(live("cleanup", "Everything that the run made is gone at its end", "What is left costs money.", (*trial).cleanup)),
		always(why("nothing-left", "No process, goroutine or file is left", "A manager runs for months, and starts plugins again and again.", (*trial).nothingLeft)),
	}
}

// rules returns the checks that are judged by all lists and calls of the run.
func rules() (all []check) {
	for _, c := range []Check{
		{ID: "ids-form", Title: "Ids can be used", Why: "An instance whose id cannot be printed, stored or sent is neither used nor removed."},
		{ID: "ids-unique", Title: "A list has each id once", Why: "Two entries of one machine are two machines for who counts them."},
		{ID: "states-known", Title: "States are those of the contract", Why: "An instance in an unknown state counts as creating, and gets no job."},
		{ID: "states-forward", Title: "States move forward only", Why: "A machine that is creating again after it ran looks like another one, and its jobs are in doubt."},
		{ID: "list-complete", Title: "A list is complete, or an error", Why: "A machine that is missing from three lists counts as lost, and its jobs with it."},
		{ID: "no-unasked-machine", Title: "No machine comes that nobody asked for", Why: "It costs money, and the manager never uses it."},
		{ID: "no-unasked-removal", Title: "No machine goes that nobody removed", Why: "A job may be running on it."},
		{ID: "error-kinds", Title: "Errors have a kind that exists, and a text", Why: "The manager decides by the kind, and people read the text."},
		{ID: "calls-return", Title: "Every call returns soon after its context has ended", Why: "A call that does not return blocks its kind of calls, until the plugin is killed."},
		{ID: "no-panic", Title: "No call panics", Why: "What the call had done is lost, and a lock may stay locked."},
		{ID: "stays-alive", Title: "The process stays alive", Why: "Until it is started again, no call works, and what it did not store is lost."},
		{ID: "output-silent", Title: "It prints nothing past its logger", Why: "Before the handshake such output stops the plugin from starting; later it is noise in the log, without a level."},
	} {
		all = append(all, check{Check: c})
	}
	return all
}
