package longconn

import (
	"testing"
	"unsafe"
)

// TestAnIdleConnectionStaysSmall guards what make bench-live measures: a field
// here costs its size a hundred thousand times.
func TestAnIdleConnectionStaysSmall(t *testing.T) {
	if size := unsafe.Sizeof(engine{}); size > 64 {
		t.Errorf("an engine has %d bytes, want at most 64", size)
	}
	if size := unsafe.Sizeof(loopConn{}); size > 144 {
		t.Errorf("a connection of a loop has %d bytes, want at most 144, which is a size that the allocator has", size)
	}
}
