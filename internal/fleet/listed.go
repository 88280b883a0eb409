package fleet

// Listed is what the provider's list says about an instance. It may be out of date or wrong; our own view is State.
type Listed uint8

// The values. A state that we do not know counts as ListedCreating: not usable, and not gone.
const (
	ListedAbsent    Listed = iota // not in the latest complete list
	ListedCreating                // not running yet
	ListedRunning                 // running
	ListedSuspended               // suspending, suspended or resuming
	ListedDeleting                // being deleted
	ListedTimeout                 // the provider gave up on it; it must still be deleted
	ListedDeleted                 // the provider says that it is gone
)

var listedNames = [...]string{"absent", "creating", "running", "suspended", "deleting", "timeout", "deleted"}

// ListedOf returns what a provider's state means for the register. word is one of the states of package provider.
func ListedOf(word string) Listed {
	switch word {
	case "running":
		return ListedRunning
	case "deleting":
		return ListedDeleting
	case "deleted":
		return ListedDeleted
	case "timeout":
		return ListedTimeout
	case "suspending", "suspended", "resuming":
		return ListedSuspended
	}
	return ListedCreating
}

// String returns the value's name as facts and status show it.
func (l Listed) String() string {
	if int(l) < len(listedNames) {
		return listedNames[l]
	}
	return "invalid"
}
