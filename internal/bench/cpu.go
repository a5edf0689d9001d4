package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of /proc's times. Linux shows hundredths of a second to
// programs on every architecture that Go knows but Alpha.
const tick = 10 * time.Millisecond

// stat is what is used of /proc/<pid>/stat.
type stat struct {
	parent int
	name   string
	own    time.Duration // user and system
	reaped time.Duration // of children that have ended
}

// parseStat reads the line of /proc/<pid>/stat. The name may hold spaces and
// parentheses, so fields count from its last parenthesis.
func parseStat(line []byte) (stat, error) {
	open, end := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return stat{}, errors.New("no name in stat")
	}
	const (
		parent = 1 // fields behind the name
		user   = 11
		last   = user + 3
	)
	fields := strings.Fields(string(line[end+1:]))
	if len(fields) <= last {
		return stat{}, fmt.Errorf("stat has only %d fields", len(fields))
	}
	s := stat{name: string(line[open+1 : end])}
	var err error
	if s.parent, err = strconv.Atoi(fields[parent]); err != nil {
		return stat{}, fmt.Errorf("stat: %w", err)
	}
	var ticks [4]int64 // utime, stime, cutime, cstime
	for i := range ticks {
		if ticks[i], err = strconv.ParseInt(fields[user+i], 10, 64); err != nil {
			return stat{}, fmt.Errorf("stat: %w", err)
		}
	}
	s.own, s.reaped = time.Duration(ticks[0]+ticks[1])*tick, time.Duration(ticks[2]+ticks[3])*tick
	return s, nil
}

func readStat(pid int) (stat, error) {
	line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return stat{}, err
	}
	return parseStat(line)
}

// meter reads the CPU time that some processes have used so far.
type meter struct {
	pid        int
	postmaster int // zero: no database beside the server
}

// read adds the server's time, and that of the database's processes.
func (m meter) read() (time.Duration, error) {
	s, err := readStat(m.pid)
	if err != nil || m.postmaster == 0 {
		return s.own, err
	}
	all, err := everyStat()
	if err != nil {
		return 0, err
	}
	total := s.own
	for pid, p := range all {
		switch {
		case pid == m.postmaster:
			// A backend that ends takes its time along; its parent inherits it.
			total += p.own + p.reaped
		case p.parent == m.postmaster:
			total += p.own
		}
	}
	return total, nil
}

// everyStat reads all processes. One that ends meanwhile is left out.
func everyStat() (map[int]stat, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	all := make(map[int]stat)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if s, err := readStat(pid); err == nil {
			all[pid] = s
		}
	}
	return all, nil
}

// findPostmaster finds the process that serves an address, by its command
// line, as internal/testpg writes it. It refuses one that does not sync: its
// figures would be worth nothing.
func findPostmaster(address string) (int, error) {
	u, err := url.Parse(address)
	if err != nil {
		return 0, err
	}
	all, err := everyStat()
	if err != nil {
		return 0, err
	}
	for pid, s := range all {
		args, err := commandLine(pid)
		if err != nil || s.name != "postgres" || !slices.Contains(args, "port="+u.Port()) {
			continue
		}
		if slices.Contains(args, "fsync=off") {
			return 0, errors.New("the PostgreSQL of TEST_DATABASE_URL runs with fsync off: unset the variable, or start it with withpg -durable")
		}
		return pid, nil
	}
	return 0, errors.New("the PostgreSQL of TEST_DATABASE_URL is not one of internal/testpg on this machine, so its CPU time cannot be read: unset the variable")
}

// commandLine returns a process's arguments; none when it has ended.
func commandLine(pid int) ([]string, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return strings.Split(string(text), "\x00"), err
}
