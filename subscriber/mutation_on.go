//go:build mutation

package subscriber

import "os"

func beatless() bool { return os.Getenv("CHAOS_MUTATION") == "beats" }

func fenceless() bool { return os.Getenv("CHAOS_MUTATION") == "fence" }
