package postgrestest_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/herald-push/herald/internal/postgrestest"
)

func TestEachCallGivesAnEmptyDatabase(t *testing.T) {
	for _, name := range []string{"first", "second"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := pgx.Connect(t.Context(), postgrestest.URL(t))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close(context.Background()) })
			if _, err := conn.Exec(t.Context(), `CREATE TABLE mine (x int)`); err != nil {
				t.Errorf("the database is not new: %v", err)
			}
		})
	}
}
