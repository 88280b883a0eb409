// Package lockholder finds the process that has a file or directory locked, so that a message can name it.
package lockholder
