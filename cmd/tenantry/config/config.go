package config

import "time"

// Config is the configuration of a node.
type Config struct {
	Node      Node      `yaml:"node" doc:"this node"`
	Listen    Listen    `yaml:"listen" doc:"the addresses it listens on, host:port"`
	Advertise Advertise `yaml:"advertise" doc:"the addresses others reach it at, host:port, where they differ from those it listens on"`
	Cluster   Cluster   `yaml:"cluster" doc:"the other nodes"`
	Ring      Ring      `yaml:"ring" doc:"how tenants are spread over nodes; the same on every node"`
	Redis     Redis     `yaml:"redis" doc:"the bus"`
	Coherence Coherence `yaml:"coherence" doc:"how fresh FRESH is"`
	Origin    Origin    `yaml:"origin" doc:"the authoritative service"`
	Kinds     Kinds     `yaml:"kinds" doc:"the kinds of data"`
	Tenants   Tenants   `yaml:"tenants" doc:"when tenants are held"`
	Limits    Limits    `yaml:"limits" doc:"what a tenant and the node may use"`
	Auth      Auth      `yaml:"auth" doc:"who may ask"`
	CORS      CORS      `yaml:"cors" doc:"what browsers may ask"`
	TLS       TLS       `yaml:"tls" doc:"encryption of the rpc port; files in PEM"`
	Telemetry Telemetry `yaml:"telemetry" doc:"logs, traces and the audit"`
}

// Node names the node.
type Node struct {
	Name string `yaml:"name" doc:"unique in the cluster; empty: the host name"`
	Zone string `yaml:"zone" doc:"where it runs: a tenant's owners are spread over zones"`
}

// Listen is where the node listens.
type Listen struct {
	RPC    Address `yaml:"rpc" doc:"Connect, gRPC, gRPC-Web and REST"`
	Admin  Address `yaml:"admin" doc:"health, metrics, profiles and the console"`
	Gossip Address `yaml:"gossip" doc:"membership, by TCP and UDP"`
}

// Advertise is where others reach the node.
type Advertise struct {
	RPC    Address `yaml:"rpc" doc:"empty: listen.rpc"`
	Gossip Address `yaml:"gossip" doc:"empty: listen.gossip"`
}

// Cluster says how nodes find each other.
type Cluster struct {
	Label          string        `yaml:"label" doc:"nodes of another label are not talked to"`
	Join           []Address     `yaml:"join" doc:"gossip addresses of nodes to join by"`
	Expect         int           `yaml:"expect" min:"1" max:"1000" doc:"how many members a first node waits for before it is ready"`
	RejoinInterval time.Duration `yaml:"rejoin_interval" min:"1s" max:"1h" doc:"how often the join addresses are tried again, which heals a split"`
	WarmTimeout    time.Duration `yaml:"warm_timeout" min:"0s" max:"1h" doc:"how long a node that joins waits at most for its tenants to be live before it takes its place in the ring"`
	DrainTimeout   time.Duration `yaml:"drain_timeout" min:"0s" max:"1h" doc:"how long a node that leaves hands its tenants over at most; Kubernetes must give it some seconds more"`
	DrainLinger    time.Duration `yaml:"drain_linger" min:"0s" max:"10m" doc:"how long a node that leaves serves at least, for load balancers to notice that it is not ready"`
	SecretKeys     []GossipKey   `yaml:"secret_keys" doc:"keys of the gossip's encryption, 16, 24 or 32 bytes in base64; the first encrypts"`
	PeerSecret     Secret        `yaml:"peer_secret" doc:"what nodes show each other on the rpc port"`
}

// Ring sets the consistent hash.
type Ring struct {
	Partitions   int     `yaml:"partitions" min:"1" max:"65536" doc:"how many parts tenants hash to, a prime"`
	VirtualNodes int     `yaml:"virtual_nodes" min:"1" max:"1000" doc:"how many places a node has on the ring"`
	Load         float64 `yaml:"load" min:"1.01" max:"10" doc:"the most a node may own, in average shares"`
	Replicas     int     `yaml:"replicas" min:"1" max:"10" doc:"how many owners a tenant has"`
}

// Redis is the bus.
type Redis struct {
	Mode         string        `yaml:"mode" oneof:"standalone|sentinel|cluster" doc:"standalone, sentinel or cluster"`
	Addresses    []Address     `yaml:"addresses" doc:"host:port; of the sentinels in mode sentinel"`
	MasterName   string        `yaml:"master_name" doc:"the master's name in mode sentinel"`
	Username     string        `yaml:"username" doc:"the ACL user; empty: the default user"`
	Password     Secret        `yaml:"password" doc:"the password"`
	PasswordFile string        `yaml:"password_file" doc:"a file that holds the password instead"`
	TLS          RedisTLS      `yaml:"tls" doc:"encryption; files in PEM"`
	Namespace    string        `yaml:"namespace" doc:"the first part of every channel's name"`
	Heartbeat    time.Duration `yaml:"heartbeat" min:"100ms" max:"1m" doc:"how often a connection is proven alive"`
	Connections  int           `yaml:"connections" min:"1" max:"64" doc:"how many connections carry the channels"`
}

// RedisTLS is the encryption of the bus.
type RedisTLS struct {
	Enabled    bool   `yaml:"enabled" doc:"whether connections are encrypted"`
	CA         string `yaml:"ca" doc:"the authorities that may sign the server's certificate; empty: the system's"`
	Cert       string `yaml:"cert" doc:"the certificate shown to the server"`
	Key        string `yaml:"key" doc:"its key"`
	ServerName string `yaml:"server_name" doc:"the name on the server's certificate; empty: that of the address"`
}

// Coherence sets the promise.
type Coherence struct {
	Bound           time.Duration `yaml:"bound" min:"1s" max:"1h" doc:"how long after a change FRESH may still be the value before; at least proof_ttl + 1s"`
	ProofTTL        time.Duration `yaml:"proof_ttl" min:"200ms" max:"1h" doc:"how long a proof that no event is missing holds; at least twice redis.heartbeat"`
	ResyncPerSecond int           `yaml:"resync_per_second" min:"1" max:"1000000" doc:"the most origin reads a second in the background: lists and entries read again after a doubt, and lists before their TTL"`
}

// Origin is the authoritative service.
type Origin struct {
	URL         URL           `yaml:"url" doc:"http or https; a path is put before those of the kinds"`
	Timeout     time.Duration `yaml:"timeout" min:"1ms" max:"5m" doc:"of one read, its body included"`
	SoftTimeout time.Duration `yaml:"soft_timeout" min:"0s" max:"5m" doc:"when a kept value that may be served STALE is served instead of waiting on; 0s: never"`
	Token       Secret        `yaml:"token" doc:"a bearer token"`
	TokenFile   string        `yaml:"token_file" doc:"a file that holds the token instead"`
	Retries     int           `yaml:"retries" min:"0" max:"10" doc:"how often a read that failed is tried again"`
	Concurrency int           `yaml:"concurrency" min:"1" max:"10000" doc:"the most reads in flight"`
	MaxBytes    Size          `yaml:"max_bytes" min:"1KiB" max:"1GiB" doc:"the most bytes of one answer, passed-on ones included; a list of several pages may have four times that"`
}

// Kinds says which kinds there are.
type Kinds struct {
	Preset  string `yaml:"preset" doc:"a built-in set: crm"`
	File    string `yaml:"file" doc:"a kinds file, instead of the preset"`
	Aliases bool   `yaml:"aliases" doc:"whether topics are followed under their aliases too"`
	// AdaptiveTTL lets the TTL of reference kinds follow how they are read.
	AdaptiveTTL AdaptiveTTL `yaml:"adaptive_ttl" doc:"whether the TTL of a reference kind follows how a tenant's entries are read"`
}

// AdaptiveTTL bounds the TTLs that a node chooses, for each tenant and
// reference kind, as multiples of the kind's own.
type AdaptiveTTL struct {
	Enabled bool    `yaml:"enabled" doc:"longer where more reads miss because of the TTL than twice those that hit; shorter where three times as many hit as miss"`
	Min     float64 `yaml:"min" min:"0.01" max:"1" doc:"the shortest, as a multiple of the kind's ttl"`
	Max     float64 `yaml:"max" min:"1" max:"100" doc:"the longest, as a multiple of the kind's ttl; the promise counts with it"`
}

// Tenants says when tenants are held.
type Tenants struct {
	Preload     []string      `yaml:"preload" doc:"tenants held from the start"`
	IdleTimeout time.Duration `yaml:"idle_timeout" min:"1s" max:"8760h" doc:"how long after its last request a tenant is let go"`
}

// Limits bound what is used.
type Limits struct {
	ActiveTenants           int                 `yaml:"active_tenants" min:"1" max:"10000000" doc:"the most tenants held"`
	ActivationsPerSecond    int                 `yaml:"activations_per_second" min:"1" max:"1000000" doc:"the most tenants taken up a second"`
	TenantBytes             Size                `yaml:"tenant_bytes" min:"64KiB" max:"1TiB" doc:"the most memory of a tenant"`
	NodeBytes               Size                `yaml:"node_bytes" min:"1MiB" max:"16TiB" doc:"the most memory of all tenants"`
	TenantRequestsPerSecond int                 `yaml:"tenant_requests_per_second" min:"0" max:"10000000" doc:"the most requests of a tenant a second; 0: no limit"`
	TenantOriginConcurrency int                 `yaml:"tenant_origin_concurrency" min:"1" max:"10000" doc:"the most origin reads of a tenant in flight"`
	Overrides               map[string]Override `yaml:"overrides" doc:"other limits for some tenants: {acme: {tenant_bytes: 64MiB}}"`
}

// Override is what a tenant has instead of the limits; nil: the same.
type Override struct {
	TenantBytes             *Size `yaml:"tenant_bytes" min:"64KiB" max:"1TiB" doc:"the most memory"`
	TenantRequestsPerSecond *int  `yaml:"tenant_requests_per_second" min:"0" max:"10000000" doc:"the most requests a second; 0: no limit"`
	TenantOriginConcurrency *int  `yaml:"tenant_origin_concurrency" min:"1" max:"10000" doc:"the most origin reads in flight"`
}

// Auth says who may ask.
type Auth struct {
	Mode       string `yaml:"mode" oneof:"none|tokens|jwt" doc:"none, tokens or jwt"`
	TokensFile string `yaml:"tokens_file" doc:"the tokens of mode tokens"`
	JWT        JWT    `yaml:"jwt" doc:"how tokens of mode jwt are checked"`
}

// JWT says which signed tokens are good.
type JWT struct {
	Issuer      string `yaml:"issuer" doc:"who must have signed"`
	Audience    string `yaml:"audience" doc:"whom it must be for"`
	JWKS        URL    `yaml:"jwks" doc:"where the keys are"`
	TenantClaim string `yaml:"tenant_claim" doc:"the claim that names the tenants"`
}

// CORS says which pages may ask.
type CORS struct {
	Origins []string `yaml:"origins" doc:"such as https://app.example.com"`
}

// TLS is the encryption of the rpc port.
type TLS struct {
	Cert     string `yaml:"cert" doc:"the certificate"`
	Key      string `yaml:"key" doc:"its key"`
	ClientCA string `yaml:"client_ca" doc:"the authorities that must have signed clients' certificates; empty: none are asked for"`
}

// Telemetry says what is told about the node.
type Telemetry struct {
	LogLevel       string `yaml:"log_level" oneof:"debug|info|warn|error" doc:"debug, info, warn or error"`
	LogFormat      string `yaml:"log_format" oneof:"text|json" doc:"text or json"`
	OTLPEndpoint   URL    `yaml:"otlp_endpoint" doc:"where traces go; empty: nowhere"`
	AuditPerSecond int    `yaml:"audit_per_second" min:"0" max:"100000" doc:"how many FRESH answers a second are compared with the origin"`
}

// Default returns the configuration of an empty file.
func Default() *Config {
	return &Config{
		Listen:    Listen{RPC: "127.0.0.1:7070", Admin: "127.0.0.1:7071", Gossip: "127.0.0.1:7946"},
		Cluster:   Cluster{Label: "tenantry", Expect: 1, RejoinInterval: 30 * time.Second, WarmTimeout: 30 * time.Second, DrainTimeout: 25 * time.Second, DrainLinger: 2 * time.Second},
		Ring:      Ring{Partitions: 4099, VirtualNodes: 100, Load: 1.25, Replicas: 2},
		Redis:     Redis{Mode: "standalone", Addresses: []Address{"127.0.0.1:6379"}, Namespace: "crm", Heartbeat: time.Second, Connections: 2},
		Coherence: Coherence{Bound: 4 * time.Second, ProofTTL: 3 * time.Second, ResyncPerSecond: 500},
		Origin: Origin{
			URL: "http://127.0.0.1:9000", Timeout: 2 * time.Second, SoftTimeout: 200 * time.Millisecond,
			Retries: 2, Concurrency: 64, MaxBytes: 8 << 20,
		},
		Kinds:   Kinds{Preset: "crm", Aliases: true, AdaptiveTTL: AdaptiveTTL{Min: 0.25, Max: 4}},
		Tenants: Tenants{IdleTimeout: 15 * time.Minute},
		Limits: Limits{
			ActiveTenants: 100_000, ActivationsPerSecond: 1000, TenantBytes: 16 << 20, NodeBytes: 1 << 30,
			TenantOriginConcurrency: 8,
		},
		Auth:      Auth{Mode: "none", JWT: JWT{TenantClaim: "tenants"}},
		Telemetry: Telemetry{LogLevel: "info", LogFormat: "text", AuditPerSecond: 10},
	}
}
