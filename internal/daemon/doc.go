// Package daemon makes the managers that a configuration file describes and runs them in one process: one Taskscaler for each autoscaling
// runner, each with its own plugin process and state directory. `taskscaler run` and `taskscaler exec --config` start it. It implements
// control.Manager, so the control API can serve it.
//
// It decides nothing about instances. It passes values from the file to package taskscaler, and answers from there to the control API.
package daemon
