package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of CPU times in /proc/PID/stat. It is 100 a second on every Linux that Go supports.
const clockTick = 10 * time.Millisecond

// use is what a process uses, and has used.
type use struct {
	descriptors int
	rss, peak   int // MiB
	cpu         time.Duration
}

// lookAt reads what the process uses now.
func lookAt(pid int) (use, error) {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	open, err := os.ReadDir(filepath.Join(proc, "fd"))
	if err != nil {
		return use{}, err
	}
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		return use{}, err
	}
	cpu, err := cpuOf(pid)
	return use{descriptors: len(open), rss: mebibytes(string(status), "VmRSS"), peak: mebibytes(string(status), "VmHWM"), cpu: cpu}, err
}

// cpuOf returns the CPU time that the process has used.
func cpuOf(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(stat), ") ") // the name of the program is before it
	fields := strings.Fields(after)
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	user, err := strconv.Atoi(fields[11])
	if err != nil {
		return 0, err
	}
	system, err := strconv.Atoi(fields[12])
	return time.Duration(user+system) * clockTick, err
}

// mebibytes returns the value of a line of /proc/PID/status.
func mebibytes(status, name string) int {
	_, after, _ := strings.Cut(status, name+":")
	if fields := strings.Fields(after); len(fields) > 0 {
		kib, _ := strconv.Atoi(fields[0])
		return kib >> 10
	}
	return 0
}

// childOf returns the process whose parent is pid: the plugin of a manager.
func childOf(pid int) (int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	for _, name := range stats {
		stat, err := os.ReadFile(name)
		if err != nil { // it has ended
			continue
		}
		_, after, _ := strings.Cut(string(stat), ") ")
		if fields := strings.Fields(after); len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			return strconv.Atoi(filepath.Base(filepath.Dir(name)))
		}
	}
	return 0, fmt.Errorf("process %d has no child", pid)
}

// header is the first line of a goroutine in a trace.
var header = regexp.MustCompile(`(?m)^goroutine \d+ `)

// goroutines counts those of a trace.
func goroutines(trace []byte) int { return len(header.FindAllIndex(trace, -1)) }
