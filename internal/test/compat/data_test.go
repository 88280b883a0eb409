package compat

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// unpack copies testdata/state to a temporary folder, uncompressed, and returns the runner's folder in it.
func unpack(t *testing.T) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), ".taskscaler")
	err := filepath.WalkDir("testdata/state", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel("testdata/state", path)
		if err != nil {
			return err
		}
		to := filepath.Join(root, strings.TrimSuffix(below, ".gz"))
		if d.IsDir() {
			return os.MkdirAll(to, 0o700)
		}
		return os.WriteFile(to, gunzip(t, path), 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, "runner-quickstart-3fc7d2db6347")
}

func gunzip(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// lines decodes a file with one JSON value on each line.
func lines[T any](t *testing.T, path string) (all []T) {
	t.Helper()
	s := bufio.NewScanner(bytes.NewReader(gunzip(t, path)))
	s.Buffer(nil, 16<<20)
	for s.Scan() {
		var v T
		if err := json.Unmarshal(s.Bytes(), &v); err != nil {
			t.Fatalf("%s, line %d: %v", path, len(all)+1, err)
		}
		all = append(all, v)
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatalf("%s is empty", path)
	}
	return all
}
