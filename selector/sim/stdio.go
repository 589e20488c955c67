package sim

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/herald-push/herald/selector/brain"
)

// Serve lets a simulator of any kind drive the selector that ships, line by
// line; only C is answered, with the provider and its propensity. All times are
// the simulator's, in seconds.
//
//	H devices providers                                                     once, first
//	C nid t ttl dev elig class maker country carrier os app online attempt
//	S nid t dev provider          the provider took it
//	J nid t dev provider invalid  it refused; invalid 1: the token is dead
//	R nid t dev provider age      a receipt, age seconds after the send
//	T nid t dev provider          600 s without a receipt
//	K nid t dev provider got      clicked; got 1 if its receipt had come
//	. t                           a second has passed
//	Q                             the end
//
// elig has a bit for each provider, lowest first. A line that is not understood
// ends it with an error that names the line.
func Serve(in io.Reader, out io.Writer) error {
	s := &server{in: bufio.NewReaderSize(in, 1<<16), out: bufio.NewWriter(out)}
	for n := 1; ; n++ {
		line, err := s.in.ReadSlice('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return s.out.Flush()
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("selector: line %d: %w", n, err)
		}
		end, err := s.line(line)
		if err != nil {
			return fmt.Errorf("selector: line %d: %w", n, err)
		}
		if end {
			return s.out.Flush()
		}
		// The simulator may wait for the answer before it writes on.
		if s.in.Buffered() == 0 {
			if err := s.out.Flush(); err != nil {
				return fmt.Errorf("selector: answer: %w", err)
			}
		}
	}
}

type server struct {
	in     *bufio.Reader
	out    *bufio.Writer
	driver *Driver
	asked  map[uint64]Notice // until the choice is sent or refused
	recent []Notice          // by device: the last question about it
	fields [16]float64
}

// arity is how many numbers follow each letter.
func arity(letter byte) int {
	switch letter {
	case 'H':
		return 2
	case 'C':
		return 13
	case 'S', 'T':
		return 4
	case 'J', 'R', 'K':
		return 5
	case '.':
		return 1
	default:
		return -1
	}
}

// line takes in one line.
func (s *server) line(b []byte) (end bool, err error) {
	letter, n, err := s.parse(b)
	f := s.fields[:n]
	switch {
	case err != nil:
		return false, err
	case letter == 0:
		return false, nil
	case letter == 'Q':
		return true, nil
	case arity(letter) != n:
		return false, fmt.Errorf("%q has %d numbers, want %d", letter, n, arity(letter))
	case letter == 'H':
		return false, s.begin(f)
	case s.driver == nil:
		return false, errors.New("H must come first")
	case letter == '.':
		s.driver.Tick(f[0])
		return false, nil
	}
	device := f[2]
	if letter == 'C' {
		device = f[3]
	}
	if device < 0 || device >= float64(len(s.recent)) {
		return false, fmt.Errorf("device %v is not one of %d", device, len(s.recent))
	}
	if letter == 'C' {
		return false, s.choose(f)
	}
	return false, s.event(letter, f)
}

// parse splits a line into its letter and its numbers.
func (s *server) parse(b []byte) (letter byte, n int, err error) {
	for i := 0; i < len(b); {
		if b[i] == ' ' || b[i] == '\n' || b[i] == '\r' {
			i++
			continue
		}
		from := i
		for i < len(b) && b[i] != ' ' && b[i] != '\n' && b[i] != '\r' {
			i++
		}
		word := b[from:i]
		switch {
		case letter == 0 && len(word) == 1:
			letter = word[0]
		case letter == 0:
			return 0, 0, fmt.Errorf("%q is no letter", word)
		case n == len(s.fields):
			return 0, 0, errors.New("too many numbers")
		default:
			if s.fields[n], err = number(word); err != nil {
				return 0, 0, err
			}
			n++
		}
	}
	return letter, n, nil
}

// number reads a whole number by hand, which most are, and others by the book.
func number(word []byte) (float64, error) {
	x := 0
	for _, c := range word {
		if c < '0' || c > '9' || len(word) > 15 {
			v, err := strconv.ParseFloat(string(word), 64)
			if err != nil {
				return 0, fmt.Errorf("%q is no number", word)
			}
			return v, nil
		}
		x = 10*x + int(c-'0')
	}
	return float64(x), nil
}

func (s *server) begin(f []float64) error {
	devices, providers := int(f[0]), int(f[1])
	if devices < 1 || devices > 100_000_000 || providers < 1 || providers > brain.MostRoads {
		return fmt.Errorf("%d devices and %d providers: want 1 to 100,000,000 devices and 1 to %d providers", devices, providers, brain.MostRoads)
	}
	s.driver = NewDriver(Beliefs(), devices, providers)
	s.asked = make(map[uint64]Notice)
	s.recent = make([]Notice, devices)
	return nil
}

// choose answers a C.
func (s *server) choose(f []float64) error {
	n := Notice{
		ID: uint64(f[0]), At: f[1], TTL: f[2], Device: int32(f[3]), Roads: uint32(f[4]), Class: Class(f[5]),
		Maker: uint16(f[6]), Country: uint16(f[7]), Carrier: uint16(f[8]), OS: uint16(f[9]), App: uint16(f[10]),
		Online: f[11] == 1, Attempt: int(f[12]),
	}
	if n.Roads == 0 || n.Roads >= 1<<s.driver.Providers() {
		return fmt.Errorf("elig %d names no road, or one that is not there", n.Roads)
	}
	road, propensity := s.driver.Choose(&n)
	s.asked[n.ID] = n
	s.recent[n.Device] = n
	line := strconv.AppendInt(s.out.AvailableBuffer(), int64(road), 10)
	line = append(line, ' ')
	line = strconv.AppendFloat(line, propensity, 'g', 6, 64)
	_, err := s.out.Write(append(line, '\n'))
	return err
}

// event takes in what became of a choice.
func (s *server) event(letter byte, f []float64) error {
	id, at, road := uint64(f[0]), f[1], int(f[3])
	if road < 0 || road >= s.driver.Providers() {
		return fmt.Errorf("provider %d is not one of %d", road, s.driver.Providers())
	}
	n, ok := s.asked[id]
	if !ok {
		n = s.recent[int(f[2])]
		n.ID = id
	}
	n.At = at
	switch letter {
	case 'S':
		s.driver.Sent(&n, road)
		delete(s.asked, id)
	case 'J':
		s.driver.Refused(&n, road, f[4] == 1)
		delete(s.asked, id)
	case 'R':
		s.driver.Receipt(id, road, f[4], at)
	case 'K':
		s.driver.Clicked(&n, road, f[4] == 1, at)
	}
	return nil
}
