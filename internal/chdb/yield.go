package chdb

import (
	"os"
	"strconv"
	"syscall"
)

// behind is how far back the engine stands in the line for a processor.
const behind = 10

// yield has the engine give way to whatever else runs on the machine: it shares
// it with the road that notifications take, its merges use every core that they
// can get, and nobody waits for them. It is best effort.
func yield() {
	threads, err := os.ReadDir("/proc/self/task") // Linux has a priority for each; new ones inherit it
	if err != nil {
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, behind)
		return
	}
	for _, t := range threads {
		if id, err := strconv.Atoi(t.Name()); err == nil {
			_ = syscall.Setpriority(syscall.PRIO_PROCESS, id, behind)
		}
	}
}
