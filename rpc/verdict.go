package rpc

import (
	"encoding/json"
	"fmt"
	"slices"

	"connectrpc.com/connect"
)

// statusActive is the status of a user who may do anything at all.
const statusActive = "active"

// The words that reasons begin with; a colon and a text for people follow.
const (
	reasonUserUnknown   = "user_unknown"
	reasonUserInactive  = "user_inactive"
	reasonNotPermitted  = "operation_not_permitted"
	reasonRoleUnknown   = "role_unknown"
	reasonNotConfigured = "operation_not_configured"
	reasonNoBalance     = "balance_unknown"
	reasonTooFewCredits = "credits_insufficient" //nolint:gosec // a word for people, and no credential
)

// authorization is the answer of an Authorize: allowed if there is no reason
// against it. The raw members are JSON, as the origin wrote them; the others are
// their decimal texts. What the origin does not have is nil, and empty.
type authorization struct {
	reasons               []string
	rawCost, rawAvailable json.RawMessage
	cost, available       string
	composed              composed
}

// judge answers from the evidence, or not at all: what cannot be read or used
// could add a reason, so that neither a yes nor a list of reasons would be
// certain without it. Only a role that cannot be read changes nothing where
// another one permits the operation.
func (e *evidence) judge() (*authorization, error) {
	a := new(authorization)
	if err := e.collect(a); err != nil {
		return nil, err
	}
	if err := a.readNumbers(e); err != nil {
		return nil, err
	}
	e.judgeUser(a)
	e.judgeCredits(a)
	return a, nil
}

// collect makes the freshness of the answer from that of all pieces, and
// returns the error of the first that has one.
func (e *evidence) collect(a *authorization) error {
	named := false
	take := func(p *piece) error {
		if p.err == nil {
			a.composed.add(e.boot, p.entry, &p.answer)
			named = named || p.named
		}
		return p.err
	}
	permitted := e.permitted()
	if err := take(&e.status); err != nil {
		return err
	}
	for i := range e.roles {
		if err := take(&e.roles[i].piece); err != nil && !(permitted && isUnavailable(err)) {
			return err
		}
	}
	for _, p := range []*piece{&e.cost, &e.credit} {
		if err := take(p); err != nil {
			return err
		}
	}
	if len(e.after.parts) > 0 && !named {
		return errOtherEntry
	}
	return nil
}

func isUnavailable(err error) bool { return faultOf(err).code == connect.CodeUnavailable }

func (e *evidence) permitted() bool {
	return slices.ContainsFunc(e.roles, func(g grant) bool { return g.permits })
}

// readNumbers takes cost and credits, as far as the origin has them.
func (a *authorization) readNumbers(e *evidence) (err error) {
	if a.rawCost, a.cost, err = e.cost.decimal("cost"); err != nil {
		return err
	}
	a.rawAvailable, a.available, err = e.credit.decimal("availableCredits")
	return err
}

// decimal reads a member of the piece; of an absent one, nothing.
func (p *piece) decimal(member string) (raw json.RawMessage, text string, err error) {
	if p.answer.Absent {
		return nil, "", nil
	}
	return decimalOf(p.entry, p.answer.Value, member)
}

// judgeUser gives the reasons that lie in the user and the user's roles. Of a
// user who does not exist nothing else can be said.
func (e *evidence) judgeUser(a *authorization) {
	switch {
	case e.status.answer.Absent:
		a.against(reasonUserUnknown, "the origin has no user-status %q", e.status.entry.key)
		return
	case e.subject.status != statusActive:
		a.against(reasonUserInactive, "the user's status is %.80q", e.subject.status)
	}
	if e.permitted() {
		return
	}
	a.against(reasonNotPermitted, "none of the user's roles permits %q", e.operation)
	for i := range e.roles {
		if g := &e.roles[i]; g.answer.Absent {
			a.against(reasonRoleUnknown, "the origin has no role %q", g.entry.key)
		}
	}
}

// judgeCredits gives the reasons that lie in cost and credits.
func (e *evidence) judgeCredits(a *authorization) {
	if a.rawCost == nil {
		a.against(reasonNotConfigured, "the origin has no credit-config %q", e.operation)
	}
	if a.rawAvailable == nil {
		a.against(reasonNoBalance, "the origin has no credit-balance %q", e.credit.entry.key)
	}
	if a.rawCost != nil && a.rawAvailable != nil && !covers(a.available, a.cost) {
		a.against(reasonTooFewCredits, "%.40s credits needed, %.40s available", a.cost, a.available)
	}
}

func (a *authorization) against(word, format string, args ...any) {
	a.reasons = append(a.reasons, word+": "+fmt.Sprintf(format, args...))
}
