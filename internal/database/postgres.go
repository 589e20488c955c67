package database

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// openPostgres opens up to most connections, used for reading and writing.
func openPostgres(ctx context.Context, cfg *pgx.ConnConfig, most int) (conns, error) {
	db := stdlib.OpenDB(*cfg)
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(most)
	db.SetConnMaxIdleTime(5 * time.Minute)
	db.SetConnMaxLifetime(time.Hour) // so that load finds a server that joined later
	if err := db.PingContext(ctx); err != nil {
		return conns{}, errors.Join(err, db.Close())
	}
	p := &Pool{db: db, dialect: postgres()}
	return conns{read: p, write: p, close: db.Close}, nil
}

func postgres() dialect {
	return dialect{words: strings.NewReplacer(
		`json_each_text(`, `jsonb_array_elements_text(`,
		`json_each(`, `jsonb_array_elements(`,
		`group_concat(`, `string_agg(`,
		`char(`, `chr(`,
		` COLLATE bytes`, ` COLLATE "C"`,
	)}
}
