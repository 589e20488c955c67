package sqlstore

import "strings"

// dialect turns a query of this package into the database's own words.
//
// Every query is written once, in the words of SQLite. Both databases know $1,
// upserts, RETURNING, row values and the JSON operators -> and ->>; what is left
// to translate are the names of four functions:
//
//	json_each(x)         the elements of a list, in the column value
//	json_each_text(x)    the same as texts
//	group_concat(x, y)   the texts of all rows with y between them
//	char(n)              one character
//
// Lists go in as one JSON parameter, so that a query for one device and a query
// for a thousand are the same query and the same round trip.
type dialect struct {
	words   *strings.Replacer
	compile bool // the driver keeps no compiled queries of its own
}

func (d dialect) sql(query string) string { return d.words.Replace(query) }

func sqlite() dialect {
	return dialect{words: strings.NewReplacer(`json_each_text(`, `json_each(`), compile: true}
}
