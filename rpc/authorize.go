package rpc

import (
	"context"
	"slices"

	"github.com/tenantry/tenantry/cache"
)

// maxRoles bounds the roles that are looked at for one Authorize. A user with
// more has an unusable user-status.
const maxRoles = 64

// authorizeQuestion asks whether a user may carry out an operation now.
type authorizeQuestion struct {
	tenant, user, operation string
	userField               string // what the request calls the user
	options                 cache.ReadOptions
	after                   token
}

func (q *authorizeQuestion) validate() error {
	if err := (entry{q.tenant, kindUserStatus, q.user}).validate(q.userField); err != nil {
		return err
	}
	return validateKey("operation", q.operation)
}

// piece is one of the entries that an answer is made of, as it was read.
type piece struct {
	entry  entry
	answer found
	err    error
	named  bool // the question's token names the entry
}

// grant is a role of the user.
type grant struct {
	piece
	permits bool
}

// evidence is what is read for an Authorize. Goroutines write to different
// members of it.
type evidence struct {
	*reader
	*authorizeQuestion
	status  piece
	subject userStatus
	roles   []grant
	cost    piece
	credit  piece
}

// authorize reads what the answer is made of, on this goroutine as far as it is
// in memory and concurrently where it is not, and then judges.
func (r *reader) authorize(ctx context.Context, q *authorizeQuestion) (*authorization, error) {
	if err := q.validate(); err != nil {
		return nil, err
	}
	if err := allow(ctx, q.tenant, ScopeRead); err != nil {
		return nil, err
	}
	e := &evidence{reader: r, authorizeQuestion: q}
	spread(3, func(i int) {
		switch i {
		case 0: // first, as the roles can only be read after it
			e.readUser(ctx)
		case 1:
			e.cost = e.readPiece(ctx, entry{q.tenant, kindCreditConfig, q.operation})
		case 2:
			e.credit = e.readPiece(ctx, entry{q.tenant, kindCreditBalance, q.user})
		}
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return e.judge()
}

// readPiece reads one entry.
func (e *evidence) readPiece(ctx context.Context, of entry) (p piece) {
	p.entry = of
	defer e.caught(func(err error) { p.err = err })
	p.named = e.after.of(of) != nil
	p.answer, p.err = e.find(ctx, of, &limits{age: e.authorizeQuestion.options, after: e.after})
	return p
}

// readUser reads the user's status, then the user's roles.
func (e *evidence) readUser(ctx context.Context) {
	e.status = e.readPiece(ctx, entry{e.tenant, kindUserStatus, e.user})
	if e.status.err != nil || e.status.answer.Absent {
		return
	}
	if e.subject, e.status.err = statusOf(e.status.entry, e.status.answer.Value); e.status.err != nil {
		return
	}
	ids := distinct(e.subject.roles)
	if len(ids) > maxRoles {
		e.status.err = &unusableError{e.status.entry, "roles: there are too many"}
		return
	}
	e.roles = make([]grant, len(ids))
	spread(len(ids), func(i int) { e.roles[i] = e.readRole(ctx, ids[i]) })
}

// distinct leaves out what stood earlier in the list; it stops when there is
// more than anybody looks at.
func distinct(ids []string) []string {
	kept := make([]string, 0, min(len(ids), maxRoles))
	for _, id := range ids {
		if !slices.Contains(kept, id) {
			kept = append(kept, id)
		}
		if len(kept) > maxRoles {
			break
		}
	}
	return kept
}

// readRole reads one role and asks whether it permits the operation. A role
// that cannot be asked for is a mistake in the user's status.
func (e *evidence) readRole(ctx context.Context, id string) (g grant) {
	of := entry{e.tenant, kindRole, id}
	if of.validateItem("role") != nil {
		g.entry, g.err = of, &unusableError{e.status.entry, "roles"}
		return g
	}
	g.piece = e.readPiece(ctx, of)
	if g.err != nil || g.answer.Absent {
		return g
	}
	var permissions []string
	permissions, _, g.err = permissionsOf(of, g.answer.Value)
	g.permits = slices.ContainsFunc(permissions, func(p string) bool { return permits(p, e.operation) })
	return g
}
