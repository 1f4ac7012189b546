//go:build unix

package marker

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes the lock of a file unless another process, or another opening of the file in this
// one, has it. On a file system without locks it always succeeds.
func tryLock(f *os.File) (bool, error) {
	var err error
	c, failed := f.SyscallConn()
	if failed != nil {
		return false, failed
	}
	failed = c.Control(func(fd uintptr) {
		for {
			if err = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB); !errors.Is(err, syscall.EINTR) {
				break
			}
		}
	})
	switch {
	case failed != nil:
		return false, failed
	case errors.Is(err, syscall.EWOULDBLOCK):
		return false, nil
	case err == nil, errors.Is(err, syscall.ENOLCK), errors.Is(err, errors.ErrUnsupported):
		return true, nil
	}
	return false, err
}
