package h2

import (
	"encoding/binary"

	"golang.org/x/net/http2"
)

// apply takes the other end's settings, at the beginning or later, and
// acknowledges them.
func (m *mux[M]) apply(flags http2.Flags, p []byte) error {
	if flags.Has(http2.FlagSettingsAck) {
		if len(p) > 0 {
			return sizeFault("acknowledgement of SETTINGS has a body")
		}
		return nil
	}
	if len(p)%6 != 0 {
		return sizeFault("SETTINGS is not a multiple of 6 bytes")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for ; len(p) > 0; p = p[6:] {
		if err := m.settingLocked(http2.SettingID(binary.BigEndian.Uint16(p)), binary.BigEndian.Uint32(p[2:])); err != nil {
			return err
		}
	}
	m.ready = appendFrame(m.ready, http2.FrameSettings, http2.FlagSettingsAck, 0, 0)
	m.wake.Signal()
	return nil
}

func (m *mux[M]) settingLocked(id http2.SettingID, value uint32) error {
	switch id {
	case http2.SettingMaxConcurrentStreams:
		m.maxOpen = int(min(value, maxWindow))
	case http2.SettingInitialWindowSize:
		if value > maxWindow {
			return windowFault("initial window is too large")
		}
		for _, msg := range m.streams {
			f := msg.out()
			if f.window += int64(value) - m.initial; f.window > maxWindow {
				return windowFault("initial window makes a stream's too large")
			}
		}
		m.initial = int64(value)
	case http2.SettingMaxFrameSize:
		if value < 16384 || value > 1<<24-1 {
			return protocolFault("maximum frame size is out of range")
		}
		m.maxFrame = int(value)
	case http2.SettingHeaderTableSize:
		m.enc.limit(value)
	case http2.SettingEnablePush:
		if value > 1 {
			return protocolFault("ENABLE_PUSH is neither 0 nor 1")
		}
	default: // nothing that we send depends on the others
	}
	return nil
}

// widen takes a WINDOW_UPDATE. The code is not 0 if it breaks the stream's
// window, which is the stream's end and not the connection's.
func (m *mux[M]) widen(id, by uint32) (http2.ErrCode, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.blocked) > 0 {
		m.wake.Signal()
	}
	if id == 0 {
		if m.window += int64(by); by == 0 {
			return 0, protocolFault("WINDOW_UPDATE by nothing")
		} else if m.window > maxWindow {
			return 0, windowFault("window of the connection is too large")
		}
		return 0, nil
	}
	msg, open := m.streams[id]
	if !open {
		return 0, nil
	}
	f := msg.out()
	switch f.window += int64(by); {
	case by == 0:
		return http2.ErrCodeProtocol, nil
	case f.window > maxWindow:
		return http2.ErrCodeFlowControl, nil
	}
	return 0, nil
}
