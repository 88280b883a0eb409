package plugincheck

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// marked describes the processes whose environment has this entry.
func marked(entry string) (found []string) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		env, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err != nil || !hasEntry(env, entry) {
			continue
		}
		if stat, err := os.ReadFile(filepath.Join(dir, "stat")); err != nil || isZombie(stat) {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(dir))
		line, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		found = append(found, fmt.Sprintf("the process %d (%s)", pid, strings.TrimSpace(string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))))
	}
	return found
}

func hasEntry(env []byte, entry string) bool {
	for _, e := range bytes.Split(env, []byte{0}) {
		if string(e) == entry {
			return true
		}
	}
	return false
}

// isZombie reads the state in /proc/PID/stat, which follows the name in brackets.
func isZombie(stat []byte) bool {
	after := bytes.LastIndexByte(stat, ')')
	return after >= 0 && len(stat) > after+2 && stat[after+2] == 'Z'
}
