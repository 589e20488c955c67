package live

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// State is what a device must know again after a restart.
type State struct {
	// Cursor is how far the device has come in all conversations; Started says
	// that it has one.
	Cursor  uint64 `json:"cursor"`
	Started bool   `json:"started"`
	// Heads are the highest numbers that it has of each conversation.
	Heads map[string]uint64 `json:"heads,omitempty"`
	// Seen are the notifications that were shown last.
	Seen []string `json:"seen,omitempty"`
	// Reports wait to be sent.
	Reports []string `json:"reports,omitempty"`
	// Beats are what is known of each network.
	Beats map[string]Heartbeat `json:"beats,omitempty"`
}

// Store keeps the state of one device.
type Store interface {
	Load() (State, error)
	Save(s State) error
}

// File keeps the state in a file, which is whole at any time.
type File string

// Load implements [Store].
func (f File) Load() (State, error) {
	var s State
	text, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		return s, fmt.Errorf("live: state: %w", err)
	}
	return s, nil
}

// Save implements [Store].
func (f File) Save(s State) error {
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("live: state: %w", err)
	}
	next, err := os.CreateTemp(filepath.Dir(string(f)), filepath.Base(string(f))+".*")
	if err != nil {
		return fmt.Errorf("live: state: %w", err)
	}
	_, err = next.Write(text)
	if err = errors.Join(err, next.Close()); err == nil {
		err = os.Rename(next.Name(), string(f))
	}
	if err != nil {
		os.Remove(next.Name())
		return fmt.Errorf("live: state: %w", err)
	}
	return nil
}

// memory keeps the state as long as the process lives.
type memory struct {
	mu sync.Mutex
	s  State
}

func (m *memory) Load() (State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.s, nil
}

func (m *memory) Save(s State) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.s = s
	return nil
}

// remembered is by how many notifications repeats are dropped.
const remembered = 500

// show notes a notification; false means that it was shown before.
func (s *State) show(id string) bool {
	if slices.Contains(s.Seen, id) {
		return false
	}
	s.Seen = append(s.Seen, id)
	if extra := len(s.Seen) - remembered; extra > 0 {
		s.Seen = slices.Delete(s.Seen, 0, extra)
	}
	return true
}
