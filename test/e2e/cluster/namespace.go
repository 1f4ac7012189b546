package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// roleVariable selects the role of a program that was started again.
const roleVariable = "GISTMILL_E2E_ROLE"

// folderPrefix begins the name of a cluster's folder among the temporary files.
const folderPrefix = "gistmill-e2e-"

// dirVariable names the folder of the cluster.
const dirVariable = "GISTMILL_E2E_DIR"

// interrupted is a shell's exit code after Ctrl-C.
const interrupted = 128 + int(unix.SIGINT)

// The roles. Outside is the process that the user started.
const (
	outside = ""
	first   = "first"  // process 1 of the namespaces: mounts, network, and reaping processes
	inside  = "inside" // the test, or whatever else the program does in a cluster
)

// Enter runs the rest of a program inside namespaces of its own (network, mounts, processes),
// in which a cluster can be started and ends with them. Call it first. It returns only inside,
// with the folder for the cluster's files. Outside it calls prepare with that folder, starts
// the program again with the same arguments, waits, and exits with its code. Nothing outlives
// it, however it ends. After a failure it keeps the logs and prints their folder.
func Enter(prepare func(ctx context.Context, dir string) error) (dir string) {
	switch os.Getenv(roleVariable) {
	case inside:
		return os.Getenv(dirVariable)
	case first:
		os.Exit(beFirst(os.Getenv(dirVariable)))
	default:
		code, err := enter(prepare)
		if err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
		}
		os.Exit(code)
	}
	return ""
}

func enter(prepare func(ctx context.Context, dir string) error) (code int, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	if err := Missing(); err != nil {
		return 1, err
	}
	release, err := alone()
	if err != nil {
		return 1, err
	}
	defer release()
	if err := sweep(); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", folderPrefix)
	if err != nil {
		return 1, err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL's user must be able to enter
		return 1, err
	}
	if err := prepare(ctx, dir); err != nil {
		return 1, errors.Join(err, os.RemoveAll(dir))
	}
	created, err := makeMountPoints()
	if err != nil {
		return 1, err
	}
	code, err = startFirst(ctx, dir)
	err = errors.Join(err, sweepControlGroups())
	for _, folder := range created {
		err = errors.Join(err, os.Remove(folder))
	}
	if err != nil && code == 0 {
		code = 1
	}
	return code, errors.Join(err, leaveLogs(dir, code))
}

// startFirst waits for the program's end inside. When ctx ends, everything inside is killed.
func startFirst(ctx context.Context, dir string) (int, error) {
	command := exec.Command("/proc/self/exe", os.Args[1:]...)
	command.Env = append(os.Environ(), roleVariable+"="+first, dirVariable+"="+dir)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.SysProcAttr = &unix.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
		Pdeathsig:  unix.SIGKILL, // the namespace ends with process 1
		Setpgid:    true,         // so that only this process receives Ctrl-C
	}
	// The kernel sends the signal when the thread ends that started the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := command.Start(); err != nil {
		return 1, fmt.Errorf("make the namespaces: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		if err := command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return interrupted, err
		}
		err = <-ended
	}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return interrupted, nil
	case errors.As(err, &exit):
		return max(exit.ExitCode(), 1), nil
	}
	return 0, err
}

// beFirst is process 1: it sets up the namespace, starts the program again, and reaps every
// orphaned process, such as containerd's shims.
func beFirst(dir string) int {
	if err := setUpHost(dir); err != nil {
		fmt.Fprintln(os.Stderr, "e2e: set up the cluster's host:", err)
		return 1
	}
	if err := os.Setenv(roleVariable, inside); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	process, err := os.StartProcess("/proc/self/exe", os.Args, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e: start the program inside:", err)
		return 1
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			fmt.Fprintln(os.Stderr, "e2e: wait:", err)
			return 1
		case pid == process.Pid && status.Exited():
			return status.ExitStatus()
		case pid == process.Pid && status.Signaled():
			return 128 + int(status.Signal())
		}
	}
}

// alone ensures that there is one cluster at a time: two would share the control groups.
func alone() (release func(), err error) {
	name := filepath.Join(os.TempDir(), "gistmill-e2e.lock")
	file, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another cluster runs on this machine (it holds %s): %w", name, err), file.Close())
	}
	return func() { _ = file.Close() }, nil
}

// sweep deletes the remains of a cluster whose outer process was killed. The logs of failed
// ones stay.
func sweep() error {
	folders, err := filepath.Glob(filepath.Join(os.TempDir(), folderPrefix+"*"))
	if err != nil {
		return err
	}
	for _, folder := range folders {
		if _, err := os.Stat(filepath.Join(folder, "tokens.csv")); err == nil {
			if err := os.RemoveAll(folder); err != nil {
				return err
			}
		}
	}
	return sweepControlGroups()
}

// sweepControlGroups deletes the kubelet's control groups, which the kernel keeps although they
// are empty. It waits until the processes in them are gone.
func sweepControlGroups() error {
	deadline := time.Now().Add(20 * time.Second)
	for {
		var left []string
		for _, pattern := range []string{"/sys/fs/cgroup/kubepods", "/sys/fs/cgroup/*/kubepods"} {
			roots, err := filepath.Glob(pattern)
			if err != nil {
				return err
			}
			for _, root := range roots {
				if err := removeTree(root); err != nil {
					left = append(left, err.Error())
				}
			}
		}
		if len(left) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("control groups are left behind: %s", strings.Join(left, ", "))
		}
		<-time.After(50 * time.Millisecond)
	}
}

// removeTree removes a tree of control groups, leaves first. Their files cannot be removed and
// need not be.
func removeTree(root string) error {
	entries, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeTree(filepath.Join(root, e.Name())); err != nil {
				return err
			}
		}
	}
	return unix.Rmdir(root)
}

// leaveLogs deletes the cluster's folder, but keeps the logs of a failed one.
func leaveLogs(dir string, code int) error {
	if code == 0 || code == interrupted {
		return os.RemoveAll(dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != logFolder {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	fmt.Fprintf(os.Stderr, "e2e: the logs of all components and pods are in %s\n", filepath.Join(dir, logFolder))
	return err
}

// Run runs a command inside and returns its exit code, for exploring a cluster by hand.
func Run(ctx context.Context, c *Cluster, stdin io.Reader, args []string) (int, error) {
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	command.Env = c.Environment()
	command.Stdin, command.Stdout, command.Stderr = stdin, os.Stdout, os.Stderr
	err := command.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}
