package stage

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// process is a program that the example started.
type process struct {
	name string
	cmd  *exec.Cmd
	said string        // file with what it says
	done chan struct{} // closed when it has ended
	err  error         // how; to be read once done is closed
}

func (s *Stage) start(program string, env []string, args ...string) *process {
	p := &process{name: program, said: filepath.Join(s.dir, fmt.Sprintf("%s-%d.log", program, len(s.procs))), done: make(chan struct{})}
	said, err := os.Create(p.said)
	s.must("start "+program, err)
	defer said.Close()
	p.cmd = exec.Command(filepath.Join(s.bin, program), args...) //nolint:noctx // end asks it to end, and kills it only then
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = said, said
	// Ctrl-C is ours: they end in their turn.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.must("start "+program, p.cmd.Start())
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	s.procs = append(s.procs, p)
	return p
}

// alive ends the example if a program has ended by itself.
func (s *Stage) alive(p *process) {
	select {
	case <-p.done:
		text, _ := os.ReadFile(p.said)
		s.Fail("%s has ended (%v):\n%s", p.name, p.err, text)
	default:
	}
}

// stop asks a program to end, and kills it if it does not.
func (p *process) stop() error {
	for _, sig := range []os.Signal{syscall.SIGCONT, os.Interrupt} {
		_ = p.cmd.Process.Signal(sig) // it may have ended
	}
	select {
	case <-p.done:
	case <-time.After(endTime):
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not end when it was asked to", p.name)
	}
	if p.err != nil {
		text, _ := os.ReadFile(p.said)
		return fmt.Errorf("%s ended with %w:\n%s", p.name, p.err, text)
	}
	return nil
}

// end stops all, the last first.
func (s *Stage) end() (err error) {
	for _, hangUp := range s.hangUp {
		hangUp()
	}
	for _, p := range slices.Backward(s.procs) {
		err = errors.Join(err, p.stop())
	}
	s.procs = nil
	return err
}

// Business is a server of a business: a program that says on its first line
// where it listens, and one line for each request before it answers.
type Business struct {
	stage     *Stage
	name, url string
	process   *process
	shown     int // bytes of what it said
}

// Business starts one. name is what declarations call it.
func (s *Stage) Business(name, program string, env []string, args ...string) *Business {
	b := &Business{stage: s, name: name, process: s.start(program, env, args...)}
	s.Until(name+" listens", func() bool {
		s.alive(b.process)
		first, _, whole := strings.Cut(b.said(), "\n")
		b.url = strings.TrimPrefix(first, "listening on ")
		b.shown = len(first) + 1
		return whole
	})
	s.businesses = append(s.businesses, b)
	s.Say("%s runs on %s (%s)", name, b.url, strings.Join(append([]string{program}, args...), " "))
	return b
}

func (b *Business) said() string {
	text, err := os.ReadFile(b.process.said)
	b.stage.must("read what "+b.name+" says", err)
	return string(text)
}

// asked are the requests since the last look. A business writes them down before
// it answers, so none is missed.
func (s *Stage) asked() (lines []string) {
	for _, b := range s.businesses {
		text := b.said()
		text = text[:strings.LastIndexByte(text, '\n')+1]
		for line := range strings.Lines(text[min(b.shown, len(text)):]) {
			lines = append(lines, b.name+": "+strings.TrimSpace(line))
		}
		b.shown = len(text)
	}
	return lines
}

// Stop ends the business.
func (b *Business) Stop() {
	b.stage.must("stop "+b.name, b.process.stop())
	b.stage.Say("%s at %s has ended", b.name, b.url)
}

// Hang makes it a business that takes connections and answers nobody.
func (b *Business) Hang() {
	pid := b.process.cmd.Process.Pid
	b.stage.must("halt "+b.name, b.process.cmd.Process.Signal(syscall.SIGSTOP))
	b.stage.Until(b.name+" has halted", func() bool {
		var status syscall.WaitStatus
		got, err := syscall.Wait4(pid, &status, syscall.WUNTRACED|syscall.WNOHANG, nil)
		return err == nil && got == pid && status.Stopped()
	})
	b.stage.Say("%s hangs: it takes connections and answers nobody", b.name)
}

// Resume lets it go on.
func (b *Business) Resume() {
	b.stage.must("resume "+b.name, b.process.cmd.Process.Signal(syscall.SIGCONT))
	b.stage.Say("%s goes on", b.name)
}

// Desk does something at the business itself, as those who work there would.
func (b *Business) Desk(path string) {
	b.stage.must(b.name+" "+path, b.stage.post(http.MethodPost, b.url+path, "", nil, nil))
}
