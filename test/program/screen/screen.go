// Package screen runs a program in a terminal, and reads its screen as a person would.
//
// It owns the pseudo-terminal and the emulator behind it. It judges nothing.
package screen

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
)

// CtrlC is what a terminal sends when a person types Ctrl-C.
const CtrlC = "\x03"

// patience bounds each wait for something to appear, and for the end of a program.
const patience = 30 * time.Second

// A Screen is a terminal with a program that runs in it. Its methods fail the test where something
// goes wrong. Text, All, Column and Raw are safe for concurrent use.
type Screen struct {
	t       testing.TB
	name    string
	command *exec.Cmd
	master  *os.File
	read    chan struct{} // closed when everything was read

	mu       sync.Mutex
	emulator *vt.Emulator
	raw      strings.Builder
}

// Start starts a command in a terminal of a size. Standard input, output and error are the terminal
// unless the command sets them. The command is killed when the test ends.
func Start(tb testing.TB, columns, rows int, command *exec.Cmd) *Screen {
	tb.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		tb.Fatal(err)
	}
	s := &Screen{
		t: tb, name: strings.Join(command.Args, " "), command: command, master: master, read: make(chan struct{}),
		emulator: vt.NewEmulator(columns, rows),
	}
	if err := pty.Setsize(master, size(columns, rows)); err != nil {
		tb.Fatal(err)
	}
	controlling := 2
	if command.Stderr == nil {
		command.Stderr = slave
	}
	if command.Stdout == nil {
		command.Stdout, controlling = slave, 1
	}
	if command.Stdin == nil {
		command.Stdin, controlling = slave, 0
	}
	// A test under nohup(1) ignores SIGHUP, and a command inherits that unless it is caught here.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: controlling}
	if err := command.Start(); err != nil {
		tb.Fatal(err)
	}
	if err := slave.Close(); err != nil {
		tb.Fatal(err)
	}
	go s.copy()
	tb.Cleanup(func() {
		_ = command.Process.Kill() // it may have ended
		_ = command.Wait()         // a second call fails
		<-s.read
		_ = master.Close()
	})
	return s
}

func size(columns, rows int) *pty.Winsize {
	return &pty.Winsize{Cols: uint16(columns), Rows: uint16(rows)}
}

// copy feeds the emulator until no process has the terminal open.
func (s *Screen) copy() {
	defer close(s.read)
	buffer := make([]byte, 4096)
	for {
		n, err := s.master.Read(buffer)
		s.mu.Lock()
		s.raw.Write(buffer[:n])
		_, _ = s.emulator.Write(buffer[:n]) // a terminal shows what it can
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Type types a text. "\n" is the Enter key.
func (s *Screen) Type(text string) {
	s.t.Helper()
	if _, err := s.master.WriteString(text); err != nil {
		s.t.Fatalf("type %q: %v", text, err)
	}
}

// Resize changes the size of the terminal. The kernel tells the program (SIGWINCH).
func (s *Screen) Resize(columns, rows int) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.emulator.Resize(columns, rows)
	if err := pty.Setsize(s.master, size(columns, rows)); err != nil {
		s.t.Fatal(err)
	}
}

// Signal sends a signal to the program only.
func (s *Screen) Signal(signal os.Signal) {
	s.t.Helper()
	if err := s.command.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}

// Text returns the visible lines, without spaces at their ends and without empty lines at the end.
func (s *Screen) Text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.visible()
}

// All returns the lines that have scrolled off the screen, and the visible ones.
func (s *Screen) All() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, line := range s.emulator.Scrollback().Lines() {
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String() + s.visible()
}

func (s *Screen) visible() string {
	lines := strings.Split(s.emulator.String(), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " \r")
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// Column returns the column of the cursor, from 0.
func (s *Screen) Column() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.emulator.CursorPosition().X
}

// Raw returns everything that the program has written to the terminal.
func (s *Screen) Raw() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.raw.String()
}

// Until waits until a text is visible. Line breaks count as spaces: a narrow terminal breaks lines
// where the program does not.
func (s *Screen) Until(text string) {
	s.t.Helper()
	s.UntilMet(fmt.Sprintf("%q is visible", text), func() bool {
		return strings.Contains(s.Text(), text) || strings.Contains(strings.Join(strings.Fields(s.Text()), " "), text)
	})
}

// UntilMet waits until a condition is met.
func (s *Screen) UntilMet(what string, met func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for !met() {
		select {
		case <-s.read:
			if met() {
				return
			}
			s.t.Fatalf("%s ended before %s:\n%s", s.name, what, s.All())
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: not within %s: %s:\n%s", s.name, patience, what, s.All())
		}
	}
}

// Stays fails the test if the screen changes within a time.
func (s *Screen) Stays(within time.Duration) {
	s.t.Helper()
	before := s.Text()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for begun := time.Now(); time.Since(begun) < within; <-tick.C {
		if now := s.Text(); now != before {
			s.t.Fatalf("%s: the screen was\n%s\nand is\n%s", s.name, before, now)
		}
	}
}

// Wait waits for the end of the program, and returns its exit code; -1: it ended by a signal.
func (s *Screen) Wait() int {
	s.t.Helper()
	timer := time.AfterFunc(patience, func() { _ = s.command.Process.Kill() })
	err := s.command.Wait()
	if !timer.Stop() {
		s.t.Fatalf("%s has not ended within %s:\n%s", s.name, patience, s.All())
	}
	<-s.read
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return s.command.ProcessState.ExitCode()
}
