// Package failure says what a provider's failure means, as data. The provider contract, the plugin wire and the deciding core share it,
// so that nobody has to read error text to decide.
package failure
