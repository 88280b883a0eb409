package fleet

// Listed is what the provider's list says of an instance: the provider's word, which may be late or wrong, beside our own State.
type Listed uint8

// What a list can say. Unknown words of a provider count as ListedCreating: not usable, not gone.
const (
	ListedAbsent    Listed = iota // not in the latest complete list
	ListedCreating                // not running yet
	ListedRunning                 // running
	ListedSuspended               // suspending, suspended or resuming
	ListedDeleting                // on its way out
	ListedTimeout                 // the provider gave up on it; it still has to be deleted
	ListedDeleted                 // gone, says the provider
)

var listedNames = [...]string{"absent", "creating", "running", "suspended", "deleting", "timeout", "deleted"}

// String is the word's name as it stands in facts and in status.
func (l Listed) String() string {
	if int(l) < len(listedNames) {
		return listedNames[l]
	}
	return "invalid"
}
