// Package rpctest provides a fake node, for tests of what stands in front of
// one.
package rpctest
