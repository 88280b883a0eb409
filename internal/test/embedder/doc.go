// Package embedder holds tests that use the library as an outsider does: by its public names only.
package embedder
