// Package reference measures other people's code beside ours, in the same run of make bench. It is not part of the library's module, so that
// the library does not require what it is compared with.
package reference
