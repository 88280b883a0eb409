// Package record holds the data that a state store keeps for one group: instances with their leases, unfinished creates, and the state of
// the group itself. It is for authors of stores and for readers of reports. It is only data; no decision is made here.
//
// Each record describes a whole thing, so a store may apply it twice with the same result as once. Times are wall time in Unix nanoseconds;
// 0 means never.
package record
