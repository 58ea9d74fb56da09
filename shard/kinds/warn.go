package kinds

import (
	"fmt"
	"strings"

	"github.com/tenantry/tenantry/cache"
)

// warn notes what a kind may say but its author should know.
func (p *parser) warn(at string, spec *kindSpec) {
	note := func(key, text string) {
		p.warnings = append(p.warnings, fmt.Sprintf("%s: kind %s: %s", p.r.Place(at+"."+key), spec.Name, text))
	}
	sets := spec.Event.Value.given()
	switch given := p.r.Given(at + ".confirm_after"); {
	case given && !sets:
		note("confirm_after", "confirm_after has no effect: events of this kind set no value")
	case given && spec.ConfirmAfter == 0:
		note("confirm_after", "confirm_after is 0s: the publisher vouches for the order of its events, and the coherence promise is void for this kind")
	}
	if classOf(spec.Class) == cache.Critical && spec.Origin.List == "" {
		note("origin", "critical without origin.list: it is not loaded ahead, and each missing key is asked for at the origin")
	}
	if !strings.Contains(spec.Origin.One, "{tenant}") {
		note("origin.one", "the path does not name the tenant: the origin must tell tenants apart by X-Tenant-Id")
	}
}
