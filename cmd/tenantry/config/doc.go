// Package config reads the configuration of a node.
//
// What a key is comes from, the later beating the earlier: its default, the
// file, the seed's variables REDIS_HOST, REDIS_PORT, REDIS_USERNAME and
// REDIS_PASSWORD, and the key's own variable. That is TENANTRY_ and the key in
// capitals with _ for the dots: listen.rpc is TENANTRY_LISTEN_RPC. A list is
// separated by commas, a mapping such as limits.overrides is written as in the
// file ("{acme: {tenant_bytes: 64MiB}}"), and an empty variable is none. A
// password or a token of a variable beats the file that holds one, wherever
// that is named below the variable.
//
// A TENANTRY_ variable that is no key is a mistake, except those of the command
// line (TENANTRY_SERVER) and those that Kubernetes makes for Services of that
// name. All mistakes are reported at once, each with its file and line or its
// variable, its key, what is wrong and what would be right.
//
// The structs are the reference: each key's doc tag says what it is, with its
// unit, and min, max and oneof what it may be. [Show] and [Example] are made
// from them. Nothing here keeps state or starts anything; files are read when
// they are asked for, by [Load], [Redis.Secret] and [Origin.Secret].
package config
