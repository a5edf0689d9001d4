package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// machine is where and with what it was measured.
type machine struct {
	cpu       string
	cores     int
	memory    string
	kernel    string
	load      string // of the last minute, when the rounds began
	fdatasync time.Duration
	versions  []string
}

// machine describes this one. What cannot be found out is left empty: it is a
// note beside the table, not worth failing for.
func (b *bench) machine(ctx context.Context) machine {
	m := machine{
		cpu: procField("/proc/cpuinfo", "model name"), cores: runtime.NumCPU(),
		memory: gibibytes(procField("/proc/meminfo", "MemTotal")),
		kernel: firstField("/proc/sys/kernel/osrelease"), load: firstField("/proc/loadavg"),
		versions: []string{runtime.Version()},
	}
	m.fdatasync, _ = syncTime(b.dir)
	m.versions = append(m.versions, moduleVersions(b.portaria)...)
	if b.database != nil {
		program := filepath.Join("/proc", strconv.Itoa(b.database.postmaster), "exe")
		if path, err := os.Readlink(program); err == nil {
			out, _ := exec.CommandContext(ctx, path, "--version").Output()
			m.versions = append(m.versions, strings.TrimSpace(strings.ReplaceAll(string(out), "postgres (PostgreSQL)", "PostgreSQL")))
		}
	}
	return m
}

// procField returns the value of a "name: value" line.
func procField(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// gibibytes turns "16384256 kB" into "15.6 GiB".
func gibibytes(kilobytes string) string {
	kb, err := strconv.ParseFloat(strings.TrimSuffix(kilobytes, " kB"), 64)
	if err != nil {
		return kilobytes
	}
	return fmt.Sprintf("%.1f GiB", kb/(1<<20))
}

func firstField(file string) string {
	text, err := os.ReadFile(file)
	if fields := strings.Fields(string(text)); err == nil && len(fields) > 0 {
		return fields[0]
	}
	return ""
}

// moduleVersions returns the versions of what the figures depend on most, as
// they are in the product's binary.
func moduleVersions(binary string) []string {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return nil
	}
	telling := []string{"github.com/gofiber/fiber/v2", "github.com/valyala/fasthttp", "modernc.org/sqlite", "github.com/lib/pq"}
	var versions []string
	for _, d := range info.Deps {
		if slices.Contains(telling, d.Path) {
			versions = append(versions, strings.TrimPrefix(d.Path, "github.com/")+" "+d.Version)
		}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			versions = append(versions, "portaria "+s.Value[:min(12, len(s.Value))])
		}
	}
	return versions
}

// syncTime returns the median time of a small write with fsync where the data
// is: a disk that answers at once, or a memory file system, makes durable
// accepts look better than they are elsewhere.
func syncTime(dir string) (time.Duration, error) {
	f, err := os.CreateTemp(dir, "sync-")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	const times = 200
	block := make([]byte, 4<<10)
	took := make([]time.Duration, times)
	for i := range took {
		began := time.Now()
		if _, err := f.WriteAt(block, 0); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return percentile(took, 0.5), nil
}
