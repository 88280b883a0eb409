// Package record holds the data that a state store keeps for one group of instances: instances with their leases, unfinished creates,
// and the state of the group itself. It is data for authors of stores and for readers of reports; nothing here decides anything.
//
// A record describes a whole thing, so applying it twice gives the same result as applying it once. Stamps are wall time in Unix
// nanoseconds; 0 means never.
package record
