package analytics

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald/push"
)

// A segment is one file of the spool and one batch of ClickHouse:
//
//	magic | frame | frame | …      frame = uint32 length, uint32 CRC-32C, receipts
//
// Integers are little-endian. A frame is what one write(2) carried, so after a
// crash the file ends with whole frames and perhaps a torn one, which is
// dropped: nobody was told that it was recorded.
//
// A segment never changes after it is sealed, and only sealed segments are
// sent. So its name can stand for its content as the batch's deduplication
// token. tidwall/wal was tried for this place and does not fit: it refuses to
// open a log with a torn tail, it copies a segment to truncate its front, and
// the borders of batches would need a second log.
type segment struct {
	path string
	born time.Time
	size int64    // bytes on disk
	rows int      // known for segments of this process only
	file *os.File // while it is written
	torn bool     // a failed write could not be undone; write no more
}

const (
	segmentMagic  = "HRLDSPL4" // its last byte is the version of the encoding
	segmentSuffix = ".spool"
	frameHeader   = 8
)

// newSegment creates the file of a segment born now. Names sort by birth and
// are never used twice, even if the clock goes back.
func newSegment(dir string, now time.Time) (*segment, error) {
	name := fmt.Sprintf("%016x-%08x%s", now.UnixNano(), rand.Uint32(), segmentSuffix)
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	s := &segment{path: file.Name(), born: now, file: file}
	if err := s.write([]byte(segmentMagic)); err != nil {
		return nil, errors.Join(err, file.Close(), os.Remove(s.path))
	}
	return s, nil
}

// token names the segment's content for ClickHouse.
func (s *segment) token() string {
	return strings.TrimSuffix(filepath.Base(s.path), segmentSuffix)
}

// write appends b whole or not at all.
func (s *segment) write(b []byte) error {
	if _, err := s.file.Write(b); err != nil {
		if undo := s.file.Truncate(s.size); undo != nil {
			s.torn = true
		} else if _, undo := s.file.Seek(s.size, 0); undo != nil {
			s.torn = true
		}
		return err
	}
	s.size += int64(len(b))
	return nil
}

// seal ends the writing.
func (s *segment) seal() error {
	file := s.file
	s.file = nil
	return file.Close()
}

// errUnreadable marks what is wrong with a segment itself.
var errUnreadable = errors.New("the segment cannot be read")

// read hands over the receipts of a sealed segment, some at a time, which are
// each's until it returns. They come from the file, for memory is dearer: there
// they take a fifth of it, and the system has what was just written at hand. It
// returns how many bytes at the end were torn, and each's error or one that is
// [errUnreadable].
func (s *segment) read(each func(rs []push.Receipt) error) (torn int, err error) {
	b, err := os.ReadFile(s.path)
	if err != nil {
		return 0, fmt.Errorf("analytics: %w: %w", errUnreadable, err)
	}
	return readSegment(b, each)
}

// partRows is about how many receipts are decoded at a time.
const partRows = 1000

func readSegment(b []byte, each func(rs []push.Receipt) error) (torn int, err error) {
	version := versionOf(b)
	if version == 0 {
		if strings.HasPrefix(segmentMagic, string(b)) {
			return len(b), nil // died at the very first write
		}
		return len(b), fmt.Errorf("analytics: %w: it is not of this version's spool", errUnreadable)
	}
	var rs []push.Receipt
	rest := b[len(segmentMagic):]
	for {
		body, whole := frameBody(rest)
		if !whole || len(rs) >= partRows {
			if err := each(rs); err != nil {
				return 0, err
			}
			clear(rs)
			rs = rs[:0]
		}
		if !whole {
			return len(rest), nil
		}
		if rs, err = decodeReceipts(rs, body, version); err != nil {
			return len(rest), fmt.Errorf("%w: %w", errUnreadable, err)
		}
		rest = rest[frameHeader+len(body):]
	}
}

// decodeSegment returns all receipts of a segment at once.
func decodeSegment(b []byte) (all []push.Receipt, torn int, err error) {
	torn, err = readSegment(b, func(rs []push.Receipt) error {
		all = append(all, rs...)
		return nil
	})
	if err != nil {
		return nil, torn, err
	}
	return all, torn, nil
}

// versionOf reads the version of a segment from its magic; 0 is none of ours.
func versionOf(b []byte) int {
	stem := len(segmentMagic) - 1
	if len(b) <= stem || string(b[:stem]) != segmentMagic[:stem] {
		return 0
	}
	if v := int(b[stem] - '0'); v >= firstVersion && v <= latestVersion {
		return v
	}
	return 0
}

// frameBody returns the body of the frame that b begins with; ok is false if
// the frame is not whole.
func frameBody(b []byte) (body []byte, ok bool) {
	if len(b) < frameHeader {
		return nil, false
	}
	size := binary.LittleEndian.Uint32(b)
	if uint64(size) > uint64(len(b)-frameHeader) {
		return nil, false
	}
	body = b[frameHeader : frameHeader+size]
	return body, crc32.Checksum(body, castagnoli()) == binary.LittleEndian.Uint32(b[4:])
}

// finishFrame fills in the header that begins b.
func finishFrame(b []byte) {
	body := b[frameHeader:]
	binary.LittleEndian.PutUint32(b, uint32(len(body)))
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(body, castagnoli()))
}

// castagnoli is the polynomial that processors have an instruction for.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// findSegments lists what an earlier process left in dir, oldest first.
func findSegments(dir string) ([]*segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var found []*segment
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), segmentSuffix) {
			continue
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		born := info.ModTime()
		if nanos, err := strconv.ParseInt(entry.Name()[:min(16, len(entry.Name()))], 16, 64); err == nil {
			born = time.Unix(0, nanos)
		}
		found = append(found, &segment{path: filepath.Join(dir, entry.Name()), born: born, size: info.Size()})
	}
	slices.SortFunc(found, func(a, b *segment) int { return strings.Compare(a.path, b.path) })
	return found, nil
}
