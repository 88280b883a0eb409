// Package daemon builds the managers that a configuration file asks for and runs them in one process: a Taskscaler for each autoscaling
// runner, with a plugin process and a state directory of its own. It is what `taskscaler run` and `taskscaler exec --config` start, and
// it answers for them in the control API (it is a control.Manager).
//
// It decides nothing about instances: values go from the file to package taskscaler, and answers from there to the control API.
package daemon
