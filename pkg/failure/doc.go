// Package failure says what a provider's failure means, as data. The provider contract, the plugin protocol and the core share it, so that
// no decision depends on error text.
package failure
