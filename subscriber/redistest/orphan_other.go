//go:build !linux

package redistest

import "syscall"

// noOrphan does nothing: only Linux kills children with their parent.
func noOrphan() *syscall.SysProcAttr { return nil }
