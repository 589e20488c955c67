//go:build !postgres

package sqlstore

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// WithPostgres says whether this binary can speak to PostgreSQL.
const WithPostgres = false

// openPostgres says that this binary was built without the tag postgres.
func openPostgres(context.Context, *pgx.ConnConfig, int) (conns, error) {
	return conns{}, errors.New("this binary is built without PostgreSQL: build it with -tags postgres")
}
