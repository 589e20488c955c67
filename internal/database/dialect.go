package database

import "strings"

// dialect turns a query in the words of [DB] into the database's own.
type dialect struct {
	words   *strings.Replacer
	compile bool // the driver keeps no compiled queries of its own
}

func (d dialect) sql(query string) string { return d.words.Replace(query) }

func sqlite() dialect {
	return dialect{words: strings.NewReplacer(`json_each_text(`, `json_each(`, ` COLLATE bytes`, ` COLLATE BINARY`), compile: true}
}
