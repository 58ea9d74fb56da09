//go:build mutation

package cache

import "os"

func mutated(m mutation) bool { return os.Getenv("CHAOS_MUTATION") == string(m) }
