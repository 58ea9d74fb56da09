//go:build !mutation

package cache

func mutated(mutation) bool { return false }
