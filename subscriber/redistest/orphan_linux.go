package redistest

import "syscall"

// noOrphan has the kernel kill the server when the test's process dies, which
// skips cleanups if it panics or times out.
func noOrphan() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
